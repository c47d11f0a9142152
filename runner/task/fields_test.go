package task_test

import (
	"reflect"
	"testing"

	"github.com/medlogistics/phasegate/runner/task"
)

type Address struct {
	Host string `with:"host,required"`
	Port int    `with:"port"`
}

type call struct {
	Name string `with:"name"`
	Address
	Path string `with:"path"`
}

func TestKeysOfAnEmbeddedStructStandAmongTheOthers(t *testing.T) {
	t.Parallel()
	v := reflect.ValueOf(&call{Name: "n", Address: Address{"h", 1}, Path: "p"}).Elem()
	var keys []string
	for _, f := range task.Fields(v.Type()) {
		keys = append(keys, f.Key)
		if f.Required != (f.Key == "host") || v.FieldByIndex(f.Index).Type() != f.Type {
			t.Errorf("key %s is %+v", f.Key, f)
		}
	}
	if want := []string{"name", "host", "port", "path"}; !reflect.DeepEqual(keys, want) {
		t.Errorf("the keys are %v, want %v", keys, want)
	}
}

func TestAnExportedFieldWithoutATagIsAMistake(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("it was taken for a key, or left out")
		}
	}()
	task.Fields(reflect.TypeFor[struct{ Host string }]())
}
