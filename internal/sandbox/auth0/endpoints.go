package auth0

import "net/http"

// endpoints lists what the tenant serves. Scopes are those that Auth0's API
// reference names for the operation, of which a token needs one.
func endpoints() []endpoint {
	var all []endpoint
	for _, part := range [][]endpoint{
		authenticationEndpoints(), userEndpoints(), roleEndpoints(), clientEndpoints(),
		connectionEndpoints(), actionEndpoints(), jobEndpoints(), tenantEndpoints(),
		sessionEndpoints(), factorEndpoints(), organizationEndpoints(), scimEndpoints(),
	} {
		all = append(all, part...)
	}
	return all
}

func one(scopes ...string) []string { return scopes }

func authenticationEndpoints() []endpoint {
	return []endpoint{
		{tokenEndpoint, nil, nil, (*Tenant).issueToken},
		{"POST /dbconnections/change_password", nil, nil, (*Tenant).changePassword},
		{"GET /.well-known/openid-configuration", nil, nil, (*Tenant).discovery},
		{"GET /.well-known/jwks.json", nil, nil, (*Tenant).jwks},
		{"GET /_exports/{file}", nil, nil, (*Tenant).downloadExport},
		{"/", nil, nil, func(*Tenant, *call) reply { return fail(http.StatusNotFound, "Not Found", "") }},
	}
}

func userEndpoints() []endpoint {
	return []endpoint{
		{"POST /api/v2/users", one("create:users"), createUserSchema(), (*Tenant).createUser},
		{"GET /api/v2/users", one("read:users", "read:user_idp_tokens"), nil, (*Tenant).searchUsers},
		{"GET /api/v2/users-by-email", one("read:users"), nil, (*Tenant).readUsersByEmail},
		{"GET /api/v2/users/{id}", one("read:users", "read:current_user", "read:user_idp_tokens"), nil, (*Tenant).readUser},
		{"PATCH /api/v2/users/{id}", one("update:users", "update:users_app_metadata", "update:current_user_metadata"), updateUserSchema(), (*Tenant).updateUser},
		{"DELETE /api/v2/users/{id}", one("delete:users", "delete:current_user"), nil, (*Tenant).deleteUser},
		{"GET /api/v2/users/{id}/roles", one("read:users", "read:roles", "read:role_members"), nil, (*Tenant).listUserRoles},
		// Since 2024 this one wants its own scope (Auth0, "Past Migrations").
		{"POST /api/v2/users/{id}/roles", one("create:role_members"), roleIDsSchema(), (*Tenant).addUserRoles},
		{"DELETE /api/v2/users/{id}/roles", one("update:users", "delete:role_members"), roleIDsSchema(), (*Tenant).removeUserRoles},
		{"GET /api/v2/user-blocks", one("read:users"), nil, (*Tenant).readBlocks},
		{"GET /api/v2/user-blocks/{id}", one("read:users"), nil, (*Tenant).readBlocks},
		{"DELETE /api/v2/user-blocks", one("update:users"), nil, (*Tenant).deleteBlocks},
		{"DELETE /api/v2/user-blocks/{id}", one("update:users"), nil, (*Tenant).deleteBlocks},
		{"GET /api/v2/users/{id}/permissions", one("read:users"), nil, (*Tenant).listUserPermissions},
		{"POST /api/v2/users/{id}/permissions", one("update:users"), permissionsSchema(), (*Tenant).addUserPermissions},
		{"DELETE /api/v2/users/{id}/permissions", one("update:users"), permissionsSchema(), (*Tenant).removeUserPermissions},
	}
}

func roleEndpoints() []endpoint {
	return []endpoint{
		{"POST /api/v2/roles", one("create:roles"), createRoleSchema(), (*Tenant).createRole},
		{"GET /api/v2/roles", one("read:roles"), nil, (*Tenant).listRoles},
		{"GET /api/v2/roles/{id}", one("read:roles"), nil, (*Tenant).readRole},
		{"PATCH /api/v2/roles/{id}", one("update:roles"), updateRoleSchema(), (*Tenant).updateRole},
		{"DELETE /api/v2/roles/{id}", one("delete:roles"), nil, (*Tenant).deleteRole},
		{"GET /api/v2/roles/{id}/users", one("read:users", "read:roles", "read:role_members"), nil, (*Tenant).listRoleUsers},
		{"POST /api/v2/roles/{id}/users", one("update:roles", "create:role_members"), userIDsSchema(), (*Tenant).addRoleUsers},
		{"GET /api/v2/roles/{id}/permissions", one("read:roles"), nil, (*Tenant).listRolePermissions},
		{"POST /api/v2/roles/{id}/permissions", one("update:roles"), permissionsSchema(), (*Tenant).addRolePermissions},
		{"DELETE /api/v2/roles/{id}/permissions", one("update:roles"), permissionsSchema(), (*Tenant).removeRolePermissions},
	}
}

func clientEndpoints() []endpoint {
	read := one("read:clients", "read:client_keys", "read:client_credentials", "read:client_summary")
	return []endpoint{
		{"POST /api/v2/clients", one("create:clients"), createClientSchema(), (*Tenant).createClient},
		{"GET /api/v2/clients", read, nil, (*Tenant).listClients},
		{"GET /api/v2/clients/{id}", read, nil, (*Tenant).readClient},
		{"PATCH /api/v2/clients/{id}", one("update:clients", "update:client_keys", "update:client_credentials"), updateClientSchema(), (*Tenant).updateClient},
		{"DELETE /api/v2/clients/{id}", one("delete:clients"), nil, (*Tenant).deleteClient},
		{"POST /api/v2/clients/{id}/rotate-secret", one("update:client_keys"), nil, (*Tenant).rotateSecret},
		{"POST /api/v2/clients/{id}/credentials", one("create:client_credentials"), credentialSchema(), (*Tenant).createCredential},
		{"GET /api/v2/clients/{id}/credentials", one("read:client_credentials"), nil, (*Tenant).listCredentials},
		{"GET /api/v2/clients/{id}/credentials/{credential}", one("read:client_credentials"), nil, (*Tenant).readCredential},
		{"PATCH /api/v2/clients/{id}/credentials/{credential}", one("update:client_credentials"), object(nil, anyOf("expires_at")), (*Tenant).updateCredential},
		{"DELETE /api/v2/clients/{id}/credentials/{credential}", one("delete:client_credentials"), nil, (*Tenant).deleteCredential},
		{"GET /api/v2/clients/{id}/connections", one("read:connections", "read:clients", "read:client_summary"), nil, (*Tenant).listClientConnections},
		{"POST /api/v2/client-grants", one("create:client_grants"), createGrantSchema(), (*Tenant).createGrant},
		{"GET /api/v2/client-grants", one("read:client_grants"), nil, (*Tenant).listGrants},
		{"GET /api/v2/client-grants/{id}", one("read:client_grants"), nil, (*Tenant).readGrant},
		{"PATCH /api/v2/client-grants/{id}", one("update:client_grants"), updateGrantSchema(), (*Tenant).updateGrant},
		{"DELETE /api/v2/client-grants/{id}", one("delete:client_grants"), nil, (*Tenant).deleteGrant},
	}
}

func connectionEndpoints() []endpoint {
	return []endpoint{
		{"POST /api/v2/connections", one("create:connections"), createConnectionSchema(), (*Tenant).createConnection},
		{"GET /api/v2/connections", one("read:connections"), nil, (*Tenant).listConnections},
		{"GET /api/v2/connections/{id}", one("read:connections"), nil, (*Tenant).readConnection},
		{"PATCH /api/v2/connections/{id}", one("update:connections"), updateConnectionSchema(), (*Tenant).updateConnection},
		{"DELETE /api/v2/connections/{id}", one("delete:connections"), nil, (*Tenant).deleteConnection},
		{"GET /api/v2/connections/{id}/clients", one("read:connections"), nil, (*Tenant).listEnabledClients},
		{"PATCH /api/v2/connections/{id}/clients", one("update:connections"), enabledClientsSchema(), (*Tenant).updateEnabledClients},
		{"DELETE /api/v2/connections/{id}/users", one("delete:users"), nil, (*Tenant).deleteConnectionUser},
		{"POST /api/v2/resource-servers", one("create:resource_servers"), createAPISchema(), (*Tenant).createAPI},
		{"GET /api/v2/resource-servers", one("read:resource_servers"), nil, (*Tenant).listAPIs},
		{"GET /api/v2/resource-servers/{id}", one("read:resource_servers"), nil, (*Tenant).readAPI},
		{"PATCH /api/v2/resource-servers/{id}", one("update:resource_servers"), updateAPISchema(), (*Tenant).updateAPI},
		{"DELETE /api/v2/resource-servers/{id}", one("delete:resource_servers"), nil, (*Tenant).deleteAPI},
	}
}

func actionEndpoints() []endpoint {
	read, create := one("read:actions"), one("create:actions")
	return []endpoint{
		{"POST /api/v2/actions/actions", create, createActionSchema(), (*Tenant).createAction},
		{"GET /api/v2/actions/actions", read, nil, (*Tenant).listAllActions},
		{"GET /api/v2/actions/actions/{id}", read, nil, (*Tenant).readAction},
		{"PATCH /api/v2/actions/actions/{id}", one("update:actions"), updateActionSchema(), (*Tenant).updateAction},
		{"DELETE /api/v2/actions/actions/{id}", one("delete:actions"), nil, (*Tenant).deleteAction},
		{"POST /api/v2/actions/actions/{id}/deploy", create, nil, (*Tenant).deployAction},
		{"GET /api/v2/actions/actions/{id}/versions", read, nil, (*Tenant).listVersions},
		{"GET /api/v2/actions/actions/{id}/versions/{version}", read, nil, (*Tenant).readVersion},
		{"POST /api/v2/actions/actions/{id}/versions/{version}/deploy", create, nil, (*Tenant).deployVersion},
		{"GET /api/v2/actions/triggers", read, nil, (*Tenant).listTriggers},
		{"GET /api/v2/actions/triggers/{trigger}/bindings", read, nil, (*Tenant).listBindings},
		{"PATCH /api/v2/actions/triggers/{trigger}/bindings", one("update:actions"), bindingsSchema(), (*Tenant).updateBindings},
	}
}

func jobEndpoints() []endpoint {
	look := one("create:users", "read:users")
	return []endpoint{
		{"POST /api/v2/jobs/users-imports", one("create:users"), nil, (*Tenant).importUsers},
		{"POST /api/v2/jobs/users-exports", one("read:users"), exportSchema(), (*Tenant).exportUsers},
		{"POST /api/v2/jobs/verification-email", one("update:users"), verificationSchema(), (*Tenant).verificationJob},
		{"GET /api/v2/jobs/{id}", look, nil, (*Tenant).readJob},
		{"GET /api/v2/jobs/{id}/errors", look, nil, (*Tenant).readJobErrors},
	}
}

func tenantEndpoints() []endpoint {
	return []endpoint{
		{"POST /api/v2/email-templates", one("create:email_templates"), templateSchema("template"), (*Tenant).createTemplate},
		{"GET /api/v2/email-templates/{name}", one("read:email_templates"), nil, (*Tenant).readTemplate},
		{"PATCH /api/v2/email-templates/{name}", one("update:email_templates"), templateSchema(), (*Tenant).updateTemplate},
		{"PUT /api/v2/email-templates/{name}", one("update:email_templates"), templateSchema("template"), (*Tenant).replaceTemplate},
		{"POST /api/v2/tickets/password-change", one("create:user_tickets"), ticketSchema(), (*Tenant).passwordTicket},
		{"POST /api/v2/tickets/email-verification", one("create:user_tickets"), emailTicketSchema(), (*Tenant).emailTicket},
		{"GET /api/v2/tenants/settings", one("read:tenant_settings"), nil, (*Tenant).readSettings},
		{"PATCH /api/v2/tenants/settings", one("update:tenant_settings"), settingsSchema(), (*Tenant).updateSettings},
	}
}

// ManagementScopes returns every scope of the Management API that the tenant
// knows.
func ManagementScopes() []string {
	seen, scopes := map[string]bool{}, []string{}
	for _, e := range endpoints() {
		for _, scope := range e.scopes {
			if !seen[scope] {
				seen[scope] = true
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}
