package schema_test

import (
	"time"

	"github.com/medlogistics/phasegate/tasks/schema"
)

func rehearsal() *schema.Rehearse {
	return &schema.Rehearse{Copy: "auto", StatementTimeout: 15 * time.Minute}
}
