package graph

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// coerceVariables reads the variables of an operation as graphql-js does.
// gqlgen's own reading, which follows, is lenient: it takes numbers for
// String and strings for Int, compares enum values without regard to case and
// does not know @oneOf. Values are never repeated in messages. Defaults are
// left to gqlgen. The variables in conditions must not be null.
func coerceVariables(schema *ast.Schema, op *ast.OperationDefinition, given map[string]any, conditions map[string]bool) (map[string]any, gqlerror.List) {
	c := &coercer{schema: schema}
	coerced := make(map[string]any, len(op.VariableDefinitions))
	for _, def := range op.VariableDefinitions {
		c.variable, c.path = def, nil
		value, ok := given[def.Variable]
		isNull := value == nil && (ok || def.DefaultValue == nil || def.DefaultValue.Kind == ast.NullValue)
		switch {
		case !ok && def.DefaultValue == nil && def.Type.NonNull:
			c.complain("a value of type %s is required", def.Type)
		case isNull && conditions[def.Variable]:
			c.complain("must not be null where a directive depends on it")
		case !ok:
		default:
			coerced[def.Variable] = c.value(def.Type, value)
		}
	}
	return coerced, c.errs
}

type coercer struct {
	schema   *ast.Schema
	variable *ast.VariableDefinition
	path     []string // inside the variable's value: ".id", "[2]"
	errs     gqlerror.List
}

// complain adds an error at the present path, unless there are plenty.
func (c *coercer) complain(format string, args ...any) {
	if len(c.errs) >= maxErrors {
		return
	}
	path := c.variable.Variable + strings.Join(c.path, "")
	err := coded(codeBadUserInput, fmt.Sprintf("Variable $%s: %s", path, fmt.Sprintf(format, args...)))
	err.Extensions["variable"] = path
	if p := c.variable.Position; p != nil {
		err.Locations = []gqlerror.Location{{Line: p.Line, Column: p.Column}}
	}
	c.errs = append(c.errs, err)
}

// within reads a part of a value.
func (c *coercer) within(step string, typ *ast.Type, value any) any {
	c.path = append(c.path, step)
	coerced := c.value(typ, value)
	c.path = c.path[:len(c.path)-1]
	return coerced
}

// value reads a value; what it returns means nothing once there are errors.
func (c *coercer) value(typ *ast.Type, value any) any {
	if value == nil {
		if typ.NonNull {
			c.complain("must not be null")
		}
		return nil
	}
	if typ.Elem != nil {
		list, ok := value.([]any)
		if !ok { // a list of one may be given without brackets
			return []any{c.value(typ.Elem, value)}
		}
		coerced := make([]any, len(list))
		for i, element := range list {
			if len(c.errs) >= maxErrors {
				break
			}
			coerced[i] = c.within("["+strconv.Itoa(i)+"]", typ.Elem, element)
		}
		return coerced
	}
	def := c.schema.Types[typ.NamedType]
	switch def.Kind {
	case ast.InputObject:
		return c.object(def, value)
	case ast.Enum:
		if name, ok := value.(string); ok && def.EnumValues.ForName(name) != nil {
			return name
		}
		c.complain("must be a value of the enum %s", def.Name)
		return nil
	default:
		coerced, ok := scalar(def.Name, value)
		if !ok {
			c.complain("must be %s", kindOfScalar(def.Name))
		}
		return coerced
	}
}

func (c *coercer) object(def *ast.Definition, value any) any {
	fields, ok := value.(map[string]any)
	if !ok {
		c.complain("must be an object of type %s", def.Name)
		return nil
	}
	coerced := make(map[string]any, len(fields))
	known := 0
	for _, field := range def.Fields {
		value, ok := fields[field.Name]
		if !ok {
			if field.Type.NonNull && field.DefaultValue == nil {
				c.complain("the field %q of type %s is required", field.Name, field.Type)
			}
			continue
		}
		known++
		coerced[field.Name] = c.within("."+field.Name, field.Type, value)
	}
	if known < len(fields) {
		c.complain("has fields that the type %s does not have", def.Name)
	}
	if def.Directives.ForName("oneOf") != nil {
		if len(fields) != 1 {
			c.complain("must have exactly one field of type %s", def.Name)
		}
		for name := range coerced {
			if coerced[name] == nil && fields[name] == nil {
				c.complain("the field %q must not be null", name)
			}
		}
	}
	return coerced
}

// scalar reads a value as decoded from JSON with numbers kept as json.Number.
// What did not come from JSON, such as an uploaded file, is a scalar of our
// own.
func scalar(name string, value any) (coerced any, ok bool) {
	number, isNumber := value.(json.Number)
	text, isText := value.(string)
	switch name {
	case "Int":
		if f, err := number.Float64(); isNumber && err == nil && f == math.Trunc(f) && f >= math.MinInt32 && f <= math.MaxInt32 {
			return int64(f), true
		}
		return nil, false
	case "Float":
		f, err := number.Float64()
		return f, isNumber && err == nil
	case "String":
		return text, isText
	case "Boolean":
		b, is := value.(bool)
		return b, is
	case "ID":
		if isNumber {
			return integerText(number)
		}
		return text, isText
	}
	switch value.(type) {
	case json.Number, bool, []any, map[string]any:
		return nil, false
	}
	return value, true
}

// integerText writes a whole number with all its digits: 1e3 as 1000.
func integerText(n json.Number) (string, bool) {
	if !strings.ContainsAny(n.String(), ".eE") {
		return n.String(), true
	}
	f, err := n.Float64()
	if err != nil || f != math.Trunc(f) {
		return "", false
	}
	return strconv.FormatFloat(f, 'f', -1, 64), true
}

func kindOfScalar(name string) string {
	switch name {
	case "Int":
		return "a whole number of 32 bits"
	case "Float":
		return "a number"
	case "Boolean":
		return "true or false"
	case "ID":
		return "an id: a string or a whole number"
	case "String":
		return "a string"
	}
	return "a string of type " + name
}
