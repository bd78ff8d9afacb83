package graph

import (
	"maps"
	"strconv"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// rulesOfValidation are the specification's, without suggestions (comparing a
// misspelt name with every name of the schema is work for whoever sends many)
// and with what gqlparser leaves out.
func rulesOfValidation() *rules.Rules {
	r := rules.NewDefaultRules()
	for _, quiet := range []core.Rule{
		rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ScalarLeafsRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
	} {
		r.RemoveRule(quiet.Name[:len(quiet.Name)-len("WithoutSuggestions")])
		r.AddRule(quiet.Name, quiet.RuleFunc)
	}
	r.AddRule("StrictLiterals", strictLiterals)
	return r
}

func validate(schema *ast.Schema, doc *ast.QueryDocument) gqlerror.List {
	errs := validator.ValidateWithRules(schema, doc, rulesOfValidation())
	for _, err := range errs {
		err.Extensions = map[string]any{"code": codeValidation}
	}
	return errs
}

// strictLiterals refuses what gqlparser lets through and graphql-js does not:
// an Int of more than 32 bits, and a variable that may be null as the only
// field of a @oneOf input. Scalars of our own are written as strings; gqlgen
// would turn numbers into strings and panic at those of more than 64 bits.
func strictLiterals(observers *core.Events, addError core.AddErrFunc) {
	complain := func(v *ast.Value, message string, args ...any) {
		addError(core.Message(message, args...), core.At(v.Position))
	}
	observers.OnValue(func(_ *core.Walker, v *ast.Value) {
		if v.Definition == nil || v.ExpectedType == nil {
			return
		}
		if isOwnScalar(v.Definition) && !mayBeString(v) {
			complain(v, "%s must be written as a string.", v.Definition.Name)
		}
		switch v.Kind {
		case ast.IntValue:
			if _, err := strconv.ParseInt(v.Raw, 10, 32); v.Definition.Name == "Int" && err != nil {
				complain(v, "Int cannot represent non 32-bit signed integer value: %s", v.Raw)
			}
		case ast.ObjectValue:
			if v.Definition.Directives.ForName("oneOf") == nil || len(v.Children) != 1 {
				return
			}
			only := v.Children[0].Value
			if def := only.VariableDefinition; only.Kind == ast.Variable && def != nil && !def.Type.NonNull {
				complain(only, "Variable %q must be non-nullable to be used for OneOf Input Object %q.", "$"+only.Raw, v.Definition.Name)
			}
		}
	})
}

// mayBeString says whether a literal is a string or stands for one.
func mayBeString(v *ast.Value) bool {
	switch v.Kind {
	case ast.StringValue, ast.BlockValue, ast.NullValue, ast.Variable:
		return true
	case ast.ListValue:
		return v.ExpectedType.Elem != nil
	}
	return false
}

// isOwnScalar says whether a type is a scalar that GraphQL does not define.
func isOwnScalar(def *ast.Definition) bool {
	return def.Kind == ast.Scalar && !def.OneOf("Int", "Float", "String", "Boolean", "ID")
}

var hiding sync.Mutex

// hideDirectives takes away @defer, which loses data over plain JSON, and
// gqlgen's hints for its generator, which are nobody's business. The schema
// is written to only if it has any, so a second handler of the same schema
// may be made while the first one serves.
func hideDirectives(schema *ast.Schema) {
	hiding.Lock()
	defer hiding.Unlock()
	hidden := func(name string, _ *ast.DirectiveDefinition) bool {
		return name == "defer" || len(name) > 2 && name[:2] == "go" && name[2] >= 'A' && name[2] <= 'Z'
	}
	for name, def := range schema.Directives {
		if hidden(name, def) {
			maps.DeleteFunc(schema.Directives, hidden)
			return
		}
	}
}
