package medlogistics

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// Counts of a population's rows, and the proportions that they follow: a
// transfer for five users, an order and two administrations for each.
const (
	usersPerTransfer       = 5
	administrationsPerUser = 2
	mostDrugs              = len(substances) * len(forms) * len(strengths)
)

// The values of a drug. Their combinations are unique.
var (
	substances = [...]string{
		"Amoxicillin", "Atorvastatin", "Bisoprolol", "Ciprofloxacin", "Diazepam", "Enoxaparin", "Furosemide",
		"Heparin", "Ibuprofen", "Insulin glargine", "Ketamine", "Levothyroxine", "Metamizole", "Metformin",
		"Morphine", "Ondansetron", "Pantoprazole", "Paracetamol", "Prednisolone", "Ramipril",
	}
	forms     = [...]string{"tablet", "capsule", "ampoule", "syrup", "suppository"}
	strengths = [...]string{"5 mg", "10 mg", "50 mg", "100 mg", "500 mg"}
	schedules = [...]string{"1-0-0", "1-0-1", "1-1-1", "0-0-1", "every 6 hours", "when needed"}
	statuses  = [...]string{"active", "active", "completed", "completed", "discontinued"}
	wards     = [...]string{"A1", "A2", "B1", "B2", "C1", "ICU", "Pharmacy"}
)

// tables returns what to fill, in an order in which references go backwards.
func (p Population) tables() []table {
	active := p.Users
	if active < len(roles) {
		active = 0 // too few for one of each role at every turn
	}
	return []table{
		{"users", "id, email, hashed_password, api_key, role, full_name, is_active", p.Users, p.userRow},
		{"drugs", "id, name, form, strength, current_stock, low_stock_threshold", min(mostDrugs, p.Users), drugRow},
		{
			"drug_transfers", "id, drug_id, source_ward, destination_ward, quantity, pharmacist_id, transfer_date",
			active / usersPerTransfer, p.transferRow,
		},
		{
			"medication_orders", "id, patient_name, drug_id, dosage, schedule, status, doctor_id, created_at",
			active, p.orderRow,
		},
		{
			"medication_administrations", "id, order_id, nurse_id, administration_time",
			active * administrationsPerUser, p.administrationRow,
		},
	}
}

func (p Population) userRow(i int) []string {
	u := p.User(i)
	name := u.FullName
	if name == "" {
		name = null
	}
	return []string{u.ID, u.Email, u.HashedPassword, u.APIKey, u.Role, name, strconv.FormatBool(u.Active)}
}

func drugRow(i int) []string {
	r := random(ofDrug, i)
	return []string{
		id(ofDrug, i),
		substances[i%len(substances)],
		forms[i/len(substances)%len(forms)],
		strengths[i/len(substances)/len(forms)],
		strconv.Itoa(r.IntN(2000)), strconv.Itoa(20 + r.IntN(100)),
	}
}

func (p Population) transferRow(i int) []string {
	r := random(ofTransfer, i)
	from := r.IntN(len(wards))
	to := (from + 1 + r.IntN(len(wards)-1)) % len(wards)
	return []string{
		id(ofTransfer, i), p.someDrug(r), wards[from], wards[to],
		strconv.Itoa(1 + r.IntN(50)), p.someone(r, "pharmacist"), timestamp(r),
	}
}

func (p Population) orderRow(i int) []string {
	r := random(ofOrder, i)
	patient := pick(r, familyNames[:]) + ", " + pick(r, givenNames[:])
	return []string{
		id(ofOrder, i), patient, p.someDrug(r), fmt.Sprintf("%d unit(s)", 1+r.IntN(3)),
		pick(r, schedules[:]), pick(r, statuses[:]), p.someone(r, "doctor"), timestamp(r),
	}
}

func (p Population) administrationRow(i int) []string {
	r := random(ofAdministration, i)
	return []string{id(ofAdministration, i), id(ofOrder, i%p.Users), p.someone(r, "nurse"), timestamp(r)}
}

func (p Population) someDrug(r *rand.Rand) string {
	return id(ofDrug, r.IntN(min(mostDrugs, p.Users)))
}

// someone returns the id of a user with that role. There are ten users at least,
// so that the first ten have every role.
func (p Population) someone(r *rand.Rand, role string) string {
	turn := r.IntN(p.Users/len(roles)) * len(roles)
	for {
		if place := r.IntN(len(roles)); roles[place] == role {
			return id(ofUser, turn+place)
		}
	}
}

// timestamp returns a moment of the quarter before the cut-over.
func timestamp(r *rand.Rand) string {
	end := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	return end.Add(-time.Duration(r.Int64N(int64(92 * 24 * time.Hour)))).Format("2006-01-02 15:04:05.000000")
}
