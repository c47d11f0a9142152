package task

import (
	"errors"
	"net/url"
)

// A URL is the address of a page, http or https, without user and password. It is
// empty where there is none.
type URL string

// UnmarshalText takes an address from a plan.
func (u *URL) UnmarshalText(text []byte) error {
	if err := CheckURL(string(text)); err != nil && len(text) > 0 {
		return err
	}
	*u = URL(text)
	return nil
}

// CheckURL fails if the text is not the address of a page. As it may hold a
// password, the error does not repeat it.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return Hint(errors.New("it is not the address of a page"),
			"write it as https://host/path or http://host:port/path, without user and password")
	}
	return nil
}
