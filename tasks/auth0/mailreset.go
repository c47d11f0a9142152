package auth0

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
)

// MailReset calls the Authentication API, which the Management API's SDK does not
// (https://auth0.com/docs/api/authentication/database-ad-ldap-active-directory/change-password).
func (o *official) MailReset(ctx context.Context, application, connection, email string) error {
	body, err := json.Marshal(map[string]string{"client_id": application, "connection": connection, "email": email})
	if err != nil {
		return err
	}
	address := o.under.tokens.access.url("/dbconnections/change_password")
	for wait := firstBackoff; ; wait = min(2*wait, longestBackoff) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := exchange(o.under.base, req)
		if err == nil && resp.StatusCode == http.StatusTooManyRequests {
			if err := pause(ctx, wait); err != nil {
				return err
			}
			continue // none was sent
		}
		if err == nil && resp.StatusCode >= http.StatusBadRequest {
			err = readRefusal(resp.StatusCode, resp.bytes, true)
		}
		return plain(ctx, "ask for a mail to set a password", err)
	}
}
