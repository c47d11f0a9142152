package auth0

// MedLogistics returns what the tenant of MedLogistics holds when a migration
// begins: the applications, the API, the roles, the Action that puts roles into
// tokens, and the database connection, still without users. Nothing else in the
// package knows these names.
func MedLogistics() Seed {
	const api = "https://api.medlog.app"
	scopes := []string{"read:hospitals", "write:hospitals", "read:users", "write:users"}
	frontend, management, login := medLogisticsClients()
	return Seed{
		APIs: []API{{
			Name: "MedLogistics Backend API", Identifier: api, Scopes: scopes, TokenLifetime: 86_400,
			TokenLifetimeForWeb: 7_200, AllowOfflineAccess: true, SkipConsent: true,
		}},
		Roles: []Role{
			{Name: "super_admin", Description: "Runs the whole system", Permissions: map[string][]string{api: scopes}},
			{Name: "pharmacist", Description: "Keeps the stock and moves drugs between wards"},
			{Name: "doctor", Description: "Orders medication"},
			{Name: "nurse", Description: "Gives medication"},
		},
		Clients: []Client{frontend, management, login},
		Connections: []Connection{{
			Name: "Username-Password-Authentication", Clients: []string{frontend.Name, login.Name},
			Options: map[string]any{
				"passwordPolicy": "fair", "disable_signup": true, "requires_username": false,
				"brute_force_protection": true,
			},
		}},
		Actions: []Action{{Name: "Add Roles to Token", Code: rolesAction}},
		Templates: []Template{
			{Name: "verify_email", Enabled: false}, {Name: "welcome_email", Enabled: false},
		},
	}
}

func medLogisticsClients() (frontend, management, login Client) {
	frontend = Client{
		Name: "MedLogistics Admin Frontend", Type: "spa", GrantTypes: []string{"authorization_code", "refresh_token"},
		Settings: map[string]any{
			"callbacks":           []any{"https://admin.medlog.app", "https://admin.medlog.app/callback"},
			"allowed_logout_urls": []any{"https://admin.medlog.app"},
			"web_origins":         []any{"https://admin.medlog.app"},
			"allowed_origins":     []any{"https://admin.medlog.app"},
			"oidc_conformant":     true, "token_endpoint_auth_method": "none",
			"jwt_configuration": map[string]any{"alg": "RS256"},
		},
	}
	management = Client{
		Name: "MedLogistics User Management", Type: "non_interactive", GrantTypes: []string{clientCredentials},
		Settings: map[string]any{"token_endpoint_auth_method": "client_secret_post"},
		Grants: map[string][]string{Management: {
			"read:users", "create:users", "update:users", "delete:users", "create:user_tickets",
			"read:roles", "read:role_members", "create:role_members", "delete:role_members",
			"read:connections", "update:connections", "read:email_templates",
			"read:clients", "create:clients", "delete:clients", "read:client_grants",
			"read:resource_servers", "read:actions",
		}},
	}
	login = Client{
		Name: "MedLogistics Sample Login", Type: "regular_web", GrantTypes: []string{passwordRealm},
		Settings: map[string]any{"token_endpoint_auth_method": "client_secret_post", "oidc_conformant": true},
	}
	return frontend, management, login
}

const rolesAction = `exports.onExecutePostLogin = async (event, api) => {
  const namespace = 'https://api.medlog.app';
  const roles = event.authorization?.roles || [];
  api.idToken.setCustomClaim(` + "`${namespace}/roles`" + `, roles);
  api.accessToken.setCustomClaim(` + "`${namespace}/roles`" + `, roles);
  api.idToken.setCustomClaim(` + "`${namespace}/user_id`" + `, event.user.user_id);
  api.accessToken.setCustomClaim(` + "`${namespace}/user_id`" + `, event.user.user_id);
};
`
