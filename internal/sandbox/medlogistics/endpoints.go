package medlogistics

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// listLimit is the most rows that a list has.
const listLimit = 50

func (h *handler) me(_ *http.Request, who caller) (int, any, error) {
	return http.StatusOK, who, nil
}

// A drug is one in the list of drugs.
type drug struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Form     string `json:"form"`
	Strength string `json:"strength"`
	Stock    int    `json:"current_stock"`
}

func (h *handler) drugs(r *http.Request, _ caller) (int, any, error) {
	list, err := rows[drug](r.Context(), h, `
		select id::text, name, form, strength, current_stock from drugs order by name, form, strength limit $1`)
	return http.StatusOK, list, err
}

// An order is one in the list of orders.
type order struct {
	ID       string `json:"id"`
	Patient  string `json:"patient_name"`
	DrugID   string `json:"drug_id"`
	Dosage   string `json:"dosage"`
	Schedule string `json:"schedule"`
}

func (h *handler) orders(r *http.Request, _ caller) (int, any, error) {
	list, err := rows[order](r.Context(), h, `
		select id::text, patient_name, drug_id::text, dosage, schedule
		  from medication_orders where status = 'active' order by id limit $1`)
	return http.StatusOK, list, err
}

// rows returns what a list's query finds, listLimit at most.
func rows[T any](ctx context.Context, h *handler, sql string) (list []T, err error) {
	err = h.read(ctx, func(db querier) error {
		found, err := db.Query(ctx, sql, listLimit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(found, pgx.RowToStructByPos[T])
		return err
	})
	return list, err
}

// An administration is the answer to one that was written.
type administration struct {
	ID string `json:"id"`
}

// administer writes that the caller, a nurse, gave what an order says. When it
// answers 201, the row is committed. It is not tried a second time: an answer
// that was lost may hide a row that is there.
func (h *handler) administer(r *http.Request, who caller) (int, any, error) {
	if !who.has("nurse") {
		return 0, nil, refusal{http.StatusForbidden, "Only nurses administer"}
	}
	var body struct {
		OrderID string `json:"order_id"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<10)).Decode(&body); err != nil {
		return 0, nil, refusal{http.StatusUnprocessableEntity, "order_id is missing"}
	}
	var written administration
	err := h.pool.QueryRow(r.Context(), `
		insert into medication_administrations (order_id, nurse_id) values ($1, $2) returning id::text`,
		body.OrderID, who.ID).Scan(&written.ID)
	var server *pgconn.PgError
	if errors.As(err, &server) && (server.Code == "23503" || server.Code == "22P02") { // foreign key, text representation
		return 0, nil, refusal{http.StatusUnprocessableEntity, "There is no such order"}
	}
	return http.StatusCreated, written, err
}
