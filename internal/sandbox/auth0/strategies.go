package auth0

import (
	"crypto/sha1" //nolint:gosec // the API shows SHA-1 thumbprints of certificates
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
)

// Social and enterprise connections: what the API fills in when one is made, as
// recorded in the SDK's tests. Nobody logs in by one here, and nothing is fetched
// from the identity provider: where the real API asks it for its metadata, the
// answer is that of the recordings.

// isEnterprise tells whether a strategy is for the users of an organization.
func isEnterprise(strategy string) bool {
	return slices.Contains(strings.Fields("ad adfs google-apps oidc okta pingfederate samlp waad"), strategy)
}

// hasTicket tells whether a connection of a strategy is set up by the customer,
// by a link that is shown.
func hasTicket(strategy string) bool {
	return isEnterprise(strategy) && strategy != "oidc" && strategy != "okta"
}

// withStrategy fills in what a connection of another strategy than auth0 does not
// say. domain is the tenant's.
func withStrategy(connection document, domain string) {
	strategy := text(connection, "strategy")
	if isEnterprise(strategy) {
		fill(connection, document{"show_as_button": false})
		if hasTicket(strategy) && connection["provisioning_ticket_url"] == nil {
			connection["provisioning_ticket_url"] = "https://" + domain + "/p/" + strategy + "/" + randomID(alphanumeric, 8)
		}
	}
	given := nested(connection, "options")
	options := defaults(given, nil)
	switch strategy {
	case "ad":
		fill(options, document{"ips": nil, "brute_force_protection": true})
	case "adfs":
		fill(options, document{
			"thumbprints": []any{}, "signInEndpoint": "https://adfs.provider/wsfed",
			"should_trust_email_verified_connection": "always_set_emails_as_verified",
		})
	case "email", "sms":
		if len(given) == 0 {
			options["brute_force_protection"] = true
		}
	case "oidc", "okta", "waad":
		fill(connection, document{"display_name": connection["name"]})
		if strategy == "waad" {
			azure(options, domain)
		} else {
			openID(strategy, options)
		}
	case "samlp", "pingfederate":
		saml(strategy, options)
	default:
		social(strategy, options, len(given) == 0)
	}
	connection["options"] = options
}

// fill sets what is not there.
func fill(d, others document) {
	for key, value := range others {
		if _, ok := d[key]; !ok {
			d[key] = value
		}
	}
}

// social fills in the permissions that a social connection asks for.
func social(strategy string, options document, fresh bool) {
	basic := []any{"email", "profile"}
	switch strategy {
	case "facebook":
		fill(options, document{"scope": ""})
	case "github", "salesforce":
		fill(options, document{"scope": []any{}})
	case "google-apps":
		fill(options, document{"email": true, "profile": true, "scope": basic, "map_user_id_to_id": false, "handle_login_from_social": true})
	case "google-oauth2":
		if fresh {
			options["profile"] = true
		}
		fill(options, document{"email": true, "scope": basic})
	case "line":
		fill(options, document{"profile": true, "scope": []any{"openid", "profile"}})
	case "linkedin":
		fill(options, document{"profile": true, "scope": []any{"r_liteprofile"}})
	case "windowslive":
		fill(options, document{"signin": true, "scope": []any{}})
		if fresh {
			options["scope"] = []any{"wl.signin"}
		}
	case "wordpress":
		fill(options, document{"profile": true, "scope": []any{"profile"}})
	}
}

func azure(options document, domain string) {
	fill(options, document{
		"thumbprints": []any{thumbprint([]byte("Azure AD"))}, "app_domain": domain,
		"identity_api": "microsoft-identity-platform-v2.0", "useCommonEndpoint": false, "waad_common_endpoint": false,
		"should_trust_email_verified_connection": "never_set_emails_as_verified",
		"use_wsfed":                              false, "waad_protocol": "openid-connect",
	})
}

func thumbprint(der []byte) string {
	sum := sha1.Sum(der) //nolint:gosec // a thumbprint, no protection
	return hex.EncodeToString(sum[:])
}

// openID fills in what a connection by OpenID Connect or to Okta learns of its
// provider.
func openID(strategy string, options document) {
	fill(options, document{"attribute_map": document{"mapping_mode": "bind_all"}, "connection_settings": document{"pkce": "auto"}})
	fill(options, document{"schema_version": "oidc-V4", "type": "front_channel"})
	if strategy == "oidc" {
		fill(options, document{"discovery_url": nil, "userinfo_endpoint": nil, "token_endpoint": nil})
	}
	metadata := nested(options, "oidc_metadata")
	switch {
	case strategy == "okta":
		metadata = oktaMetadata(text(options, "domain"))
	case metadata != nil:
	default:
		return // what discovery_url leads to is not fetched
	}
	metadata = defaults(metadata, document{
		"claims_parameter_supported": false, "request_parameter_supported": false,
		"request_uri_parameter_supported": false, "require_request_uri_registration": false,
	})
	options["oidc_metadata"] = metadata
	for _, key := range []string{"userinfo_endpoint", "token_endpoint", "authorization_endpoint"} {
		if options[key] == nil {
			options[key] = metadata[key]
		}
	}
}

// oktaMetadata is what an Okta domain says of itself.
func oktaMetadata(domain string) document {
	at := "https://" + domain + "/oauth2/v1/"
	d := document{"issuer": "https://" + domain, "request_parameter_supported": true}
	for key, path := range map[string]string{
		"authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo",
		"registration_endpoint": "clients", "jwks_uri": "keys", "introspection_endpoint": "introspect",
		"revocation_endpoint": "revoke", "end_session_endpoint": "logout",
		"device_authorization_endpoint": "device/authorize", "pushed_authorization_request_endpoint": "par",
	} {
		d[key] = at + path
	}
	for key, value := range map[string]string{
		"response_types_supported": "code", "response_modes_supported": "query", "grant_types_supported": "authorization_code",
		"subject_types_supported": "public", "id_token_signing_alg_values_supported": "RS256", "scopes_supported": "openid",
		"token_endpoint_auth_methods_supported": "client_secret_basic", "claims_supported": "iss",
		"code_challenge_methods_supported": "S256", "introspection_endpoint_auth_methods_supported": "client_secret_basic",
		"revocation_endpoint_auth_methods_supported": "client_secret_basic", "request_object_signing_alg_values_supported": "HS256",
		"backchannel_token_delivery_modes_supported":                      "poll",
		"backchannel_authentication_request_signing_alg_values_supported": "HS256",
		"dpop_signing_alg_values_supported":                               "RS256", "id_token_encryption_alg_values_supported": "RSA-OAEP",
		"id_token_encryption_enc_values_supported": "A256GCM",
	} {
		d[key] = []any{value}
	}
	return d
}

// saml fills in what the certificate of a SAML provider says.
func saml(strategy string, options document) {
	given := text(options, "signingCert")
	if strategy == "pingfederate" {
		delete(options, "signingCert")
		fill(options, document{"signInEndpoint": options["pingFederateBaseUrl"]})
	}
	block, _ := pem.Decode([]byte(given))
	if block == nil {
		return
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return // the real API refuses it; nobody here uses it
	}
	subject := document{}
	for key, values := range map[string][]string{
		"countryName": certificate.Subject.Country, "stateOrProvinceName": certificate.Subject.Province,
		"organizationName": certificate.Subject.Organization, "commonName": {certificate.Subject.CommonName},
	} {
		if len(values) > 0 && values[0] != "" {
			subject[key] = values[0]
		}
	}
	fill(options, document{
		"cert": given, "subject": subject, "expires": timestamp(certificate.NotAfter), "thumbprints": []any{thumbprint(block.Bytes)},
	})
}
