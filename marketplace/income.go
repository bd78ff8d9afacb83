package marketplace

import (
	_ "embed"
	"encoding/csv"
	"slices"
	"strings"
	"sync"
)

// incomeCSV is the World Bank's classification of economies; the file says of
// which year.
//
//go:embed income.csv
var incomeCSV string

// incomeClasses are the World Bank's income groups, the lowest first.
var incomeClasses = []string{"LOW", "LOWER_MIDDLE", "UPPER_MIDDLE", "HIGH"}

var incomes = sync.OnceValue(func() map[Country]int {
	r := csv.NewReader(strings.NewReader(incomeCSV))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		panic(err) // a list that was compiled in
	}
	out := make(map[Country]int, len(rows))
	for _, row := range rows[1:] {
		out[Country(row[0])] = 1 + slices.Index(incomeClasses, row[1])
	}
	return out
})

// income is the country's income group, 1 for the lowest to 4; 0 where it is not known.
func (c Country) income() int { return incomes()[c] }

// sizeClasses are the populations from which on a city is of the next size.
var sizeClasses = []int{50_000, 250_000, 1_000_000, 5_000_000}

// sizeOf is the size class of a city, 1 for the smallest to 5; 0 where its
// population is not known.
func sizeOf(population int) int {
	if population <= 0 {
		return 0
	}
	n := 1
	for _, from := range sizeClasses {
		if population >= from {
			n++
		}
	}
	return n
}
