package marketplace

import "testing"

// What is read of a need in free words, and what is not.
func TestReading(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text    string
		country Country
		region  Region
		budget  float64
		route   ProcurementRoute
	}{
		{"Kenyan county, 90,000 dollars of our own", "KE", Africa, 90_000, ""},
		{"Secondary city in East Africa; USD 60,000 for a pilot.", "", Africa, 60_000, "PILOT"},
		{"A Sri Lankan city with $1.5 million", "LK", AsiaPacific, 1_500_000, ""},
		{"Bilingual Canadian city", "CA", Americas, 0, ""},
		{"Nigeria and not Niger", "NG", Africa, 0, ""},
		{"尼泊尔的小镇，30万美元，公开招标", "NP", AsiaPacific, 300_000, "OPEN_TENDER"},
		{"캐나다의 도시, 시범 사업", "CA", Americas, 0, "PILOT"},
		{"Una ciudad peruana con 5 millones de dólares", "PE", Americas, 5_000_000, ""},
		{"Une ville marocaine", "MA", Africa, 0, ""},
		{"مدينة في الأردن", "JO", MiddleEast, 0, ""},
		{"Kids cannot cross the road; 600 km of streets, 30,000 euros", "", "", 0, ""},
	} {
		n := &traits{Values: Values{Keywords: map[Field][]string{}, Numbers: map[Field]float64{}}}
		n.read(c.text)
		if n.home() != c.country || n.homeRegion() != c.region || n.Numbers[FieldBudgetMax] != c.budget || n.word(FieldProcurement) != string(c.route) {
			t.Errorf("%s: %q %q %v %q", c.text, n.home(), n.homeRegion(), n.Numbers[FieldBudgetMax], n.word(FieldProcurement))
		}
	}
}
