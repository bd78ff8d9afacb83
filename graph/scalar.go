package graph

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"citymarket/marketplace"
)

// MarshalDateTime writes a moment in whole seconds of UTC.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		io.WriteString(w, t.UTC().Format(`"`+time.RFC3339+`"`))
	})
}

// UnmarshalDateTime reads a moment in RFC 3339.
func UnmarshalDateTime(v any) (time.Time, error) {
	s, ok := v.(string)
	if ok {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	return time.Time{}, coded(codeBadUserInput, "must be a moment such as 2027-03-31T08:30:00Z")
}

// MarshalSearchKind writes a kind as the enum has it: "city" is CITY.
func MarshalSearchKind(k marketplace.Kind) graphql.Marshaler { return upper(string(k)) }

// UnmarshalSearchKind reads a kind.
func UnmarshalSearchKind(v any) (marketplace.Kind, error) { return lower[marketplace.Kind](v) }

// MarshalFacetField writes a field as the enum has it: "price_band" is PRICE_BAND.
func MarshalFacetField(f marketplace.Field) graphql.Marshaler { return upper(string(f)) }

// UnmarshalFacetField reads a field.
func UnmarshalFacetField(v any) (marketplace.Field, error) { return lower[marketplace.Field](v) }

func upper(s string) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		io.WriteString(w, strconv.Quote(strings.ToUpper(s)))
	})
}

func lower[T ~string](v any) (T, error) {
	s, ok := v.(string)
	if !ok {
		return "", coded(codeBadUserInput, fmt.Sprintf("must be a word of the enum, not %T", v))
	}
	return T(strings.ToLower(s)), nil
}

// What is not known is an empty string in the domain and null in the API.

// MarshalURL writes an address, null where there is none.
func MarshalURL(s string) graphql.Marshaler { return orNull(s) }

// UnmarshalURL reads an address; the domain checks it.
func UnmarshalURL(v any) (string, error) { return graphql.UnmarshalString(v) }

// MarshalTimeZone writes a time zone, null where it is not known.
func MarshalTimeZone(s string) graphql.Marshaler { return orNull(s) }

// UnmarshalTimeZone reads a time zone; the domain checks it.
func UnmarshalTimeZone(v any) (string, error) { return graphql.UnmarshalString(v) }

// MarshalCityLevel writes a level, null where it is not known.
func MarshalCityLevel(l marketplace.CityLevel) graphql.Marshaler { return orNull(l) }

// UnmarshalCityLevel reads a level.
func UnmarshalCityLevel(v any) (marketplace.CityLevel, error) {
	s, err := graphql.UnmarshalString(v)
	return marketplace.CityLevel(s), err
}

// MarshalIdentification writes an identification, null where there is none.
func MarshalIdentification(i marketplace.Identification) graphql.Marshaler { return orNull(i) }

// UnmarshalIdentification reads an identification.
func UnmarshalIdentification(v any) (marketplace.Identification, error) {
	s, err := graphql.UnmarshalString(v)
	return marketplace.Identification(s), err
}

func orNull[T ~string](s T) graphql.Marshaler {
	if s == "" {
		return graphql.Null
	}
	return graphql.MarshalString(string(s))
}
