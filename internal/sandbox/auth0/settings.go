package auth0

import "net/http"

// defaultSettings are those of a fresh tenant.
func defaultSettings() document {
	return document{
		"change_password": document{"enabled": false}, "guardian_mfa_page": document{"enabled": false},
		"enabled_locales": []any{"en"}, "sandbox_version": "22",
		"session_lifetime": 168, "idle_session_lifetime": 72,
		"ephemeral_session_lifetime": 1, "idle_ephemeral_session_lifetime": 1,
		"oidc_logout":                   document{"rp_logout_end_session_endpoint_discovery": true},
		"resource_parameter_profile":    "audience",
		"phone_consolidated_experience": true,
		"flags": document{
			"allow_changing_enable_sso": false, "disable_impersonation": true, "enable_sso": true, "universal_login": true,
			"revoke_refresh_token_grant": false, "disable_clickjack_protection_headers": false,
		},
	}
}

func settingsSchema() *schema {
	return object(nil, anyOf(`acr_values_supported authorization_response_iss_parameter_supported
		ephemeral_session_lifetime_in_minutes idle_session_lifetime_in_minutes legacy_sandbox_version security_headers
		allow_organization_name_in_authentication_api allowed_logout_urls
		change_password client_id_metadata_document_supported country_codes customize_mfa_in_postlogin_action
		default_audience default_directory default_redirection_uri default_token_quota device_flow
		dynamic_client_registration_security_mode enable_ai_guide enabled_locales ephemeral_session_lifetime error_page
		flags friendly_name guardian_mfa_page idle_ephemeral_session_lifetime idle_ephemeral_session_lifetime_in_minutes
		idle_session_lifetime include_session_metadata_in_tenant_logs mtls oidc_logout phone_consolidated_experience
		picture_url pushed_authorization_requests_supported resource_parameter_profile sandbox_version session_cookie
		session_lifetime session_lifetime_in_minutes sessions
		skip_non_verifiable_callback_uri_confirmation_prompt support_email support_url universal_login`))
}

// readSettings is GET /api/v2/tenants/settings.
func (t *Tenant) readSettings(c *call) reply {
	view := defaults(t.settings, document{"sandbox_versions_available": []string{"22", "18"}})
	return answer(http.StatusOK, c.pickFields([]document{view})[0])
}

// updateSettings is PATCH /api/v2/tenants/settings. Flags and the settings of
// the login page are merged.
func (t *Tenant) updateSettings(c *call) reply {
	patch := defaults(c.fields, nil)
	for _, key := range []string{"flags", "universal_login"} {
		if inner, ok := patch[key].(map[string]any); ok {
			patch[key] = defaults(inner, nested(t.settings, key))
		}
	}
	t.settings = merged(t.settings, patch)
	return answer(http.StatusOK, t.settings)
}
