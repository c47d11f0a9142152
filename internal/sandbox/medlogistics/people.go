package medlogistics

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// A User is a row of users. Its values are personal data, if made up: they
// belong in no log.
type User struct {
	ID             string
	Email          string
	HashedPassword string
	APIKey         string
	Role           string // doctor, nurse or pharmacist
	FullName       string // "" stands for null
	Active         bool
}

// roles are given out in turn, so that the first three users have one each.
var roles = [...]string{"doctor", "nurse", "pharmacist", "nurse", "nurse", "doctor", "nurse", "nurse", "doctor", "nurse"}

// User returns user i, from 0 to Users-1.
func (p Population) User(i int) User {
	r := random(ofUser, i)
	_ = randomBytes(r, 16) // those of the id
	u := User{
		ID: id(ofUser, i), APIKey: apiKey(r), HashedPassword: passwordHash(r),
		Role: roles[i%len(roles)], Active: i%40 != 39,
	}
	u.FullName, u.Email = person(r, i)
	if p.Unmigratable && i == p.Users-2 {
		u.Email = strings.ToUpper(p.User(0).Email)
	}
	if p.Unmigratable && i == p.Users-1 {
		u.Email = "no address " + strconv.Itoa(i)
	}
	return u
}

var (
	givenNames = [...]string{
		"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas",
		"Katrin", "Lukas", "Maria", "Noah", "Olga", "Paul", "Rosa", "Simon", "Tara", "Viktor",
	}
	familyNames = [...]string{
		"Adler", "Bauer", "Costa", "Dietz", "Engel", "Fischer", "Gruber", "Hansen", "Ivanov", "Jung",
		"Keller", "Lang", "Moreau", "Novak", "Olsen", "Peters", "Rossi", "Schmidt", "Torres", "Weber",
	}
)

// domain is reserved: mail to it reaches nobody (RFC 2606).
const domain = "medlog.example"

// awkward are names and addresses that are valid and that programs get wrong.
// Each has %d for the user's number, which keeps the addresses apart. Auth0
// takes them all: it checks addresses as validator.js does.
var awkward = [...]struct{ name, email string }{
	{"Plus Sign", "plus.sign+ward%d@" + domain},
	{"CAPITAL Letters", "Capital.LETTERS.%d@Medlog.Example"},
	{"Siobhán O'Connor", "siobhan.o'connor.%d@" + domain},
	{"Zoë Müller-Lüdenscheidt", "zoë.müller.%d@" + domain},
	{"Łukasz Żółć", "lukasz.%d@zolc.krankenhaus-köln.example"},
	{"山田 太郎", "山田.%d@" + domain},
	{"محمد عبد الله", "mohammed_abdullah-%d@" + domain},
	{"Nurse 👩🏽‍⚕️ Emoji", "emoji.%d@" + domain},
	{"Jose\u0301 Decomposed", "jose.%d@" + domain},
	{`Back\slash "Quoted", Comma; <b>Tag</b>`, "quoted.%d@" + domain},
	{"Tab\tand\nnew line", "white.space.%d@" + domain},
	{"Robert'); drop table users;--", "bobby.tables.%d@" + domain},
	{"=1+1", "=formula.%d@" + domain},
	{strings.Repeat("Longname", 37), "l%060d@" + domain},                             // 296 characters; a local part of 61
	{"Long Domain", "long.%d@" + strings.Repeat("very-long-subdomain.", 9) + domain}, // 210 characters
	{"", "nameless.%d@" + domain},                                                    // full_name is null
	{"Percent %s {{name}} ${HOME}", "%%percent{%d}@" + domain},                       // formats and templates
	{"Hyphen-Ated Under_Score", "_under-score_%d@" + domain},
	{"Null \u200b Width", "0.%d@" + domain}, // a zero-width space
	{"van der Berg, Jan", "1.2.3.%d@sub.sub.sub." + domain},
	{"Ａｎｎａ Fullwidth", "digits%d@1.2.3." + domain},
	{"ß ẞ ı İ ſ", "case.folding.%d@" + domain},
	{"Dots", "a.b.c.d.e.f.g.%d@" + domain},
	{"Specials", "!#$&*/?^`{|}~.%d@" + domain},
}

// person returns the name and the address of user i: every third is awkward.
func person(r *rand.Rand, i int) (name, email string) {
	if i%3 == 2 {
		a := awkward[i/3%len(awkward)]
		return a.name, fmt.Sprintf(a.email, i)
	}
	given, family := pick(r, givenNames[:]), pick(r, familyNames[:])
	return given + " " + family, strings.ToLower(given+"."+family) + "." + strconv.Itoa(i) + "@" + domain
}
