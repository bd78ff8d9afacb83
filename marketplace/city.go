package marketplace

import "context"

// A City is a local government of any level. It may lie inside another member.
type City struct {
	Meta         `json:",inline"`
	Organisation `json:",inline"`

	Level          CityLevel      `json:"level,omitempty"`
	TimeZone       string         `json:"timeZone,omitempty"` // IANA name
	Coordinates    *Coordinates   `json:"coordinates,omitempty"`
	Population     *Population    `json:"population,omitempty"`
	Within         ID             `json:"within,omitempty"` // the member that it lies inside
	Identification Identification `json:"identification,omitempty"`
}

// KindCity is the kind of City.
var KindCity = register("city", func() entity { return new(City) })

// A CityLevel is a level of local government.
type CityLevel string

// CityLevels are all levels.
var CityLevels = []CityLevel{"CITY", "DISTRICT", "LOCALITY", "PREFECTURE", "PROVINCE", "STATE", "OTHER"}

// An Identification says how sure it is which place a printed name means.
type Identification string

// Identifications are all of them. An unidentified city is shown with its
// printed name only.
var Identifications = []Identification{"CERTAIN", "PROBABLE", "UNIDENTIFIED"}

// Coordinates are a point in WGS 84.
type Coordinates struct {
	Latitude  float64 `json:"latitude"`  // degrees north, -90 to 90
	Longitude float64 `json:"longitude"` // degrees east, -180 to 180
	// OfSeat says that they are those of the seat or the main place, since
	// the area itself has none.
	OfSeat bool   `json:"ofSeat,omitempty"`
	Source string `json:"source"` // "GeoNames 1835848"
}

// A Population is a number of people and where it was read. Sources are of
// mixed age, so it must not be used for fees.
type Population struct {
	Number int    `json:"number"`
	Source string `json:"source"`
}

func (*City) kind() Kind           { return KindCity }
func (*City) audience() []Group    { return []Group{Everyone} }
func (c *City) parties() []ID      { return []ID{c.ID} }
func (*City) claims() []string     { return nil }
func (c *City) texts() []NamedText { return c.Organisation.texts() }

func (c *City) refs() []ID {
	refs := c.Organisation.refs()
	if c.Within != "" {
		refs = append(refs, c.Within)
	}
	return refs
}

func (c *City) validate(p *problems) {
	c.Organisation.check(p)
	if c.Level != "" {
		checkOne(p, "level", c.Level, CityLevels)
	}
	if c.Identification != "" {
		checkOne(p, "identification", c.Identification, Identifications)
	}
	checkTimeZone(p, "timeZone", c.TimeZone)
	if at := c.Coordinates; at != nil && !(at.Latitude >= -90 && at.Latitude <= 90 && at.Longitude >= -180 && at.Longitude <= 180) {
		p.add("coordinates", "OUT_OF_RANGE", "must have a latitude of -90 to 90 and a longitude of -180 to 180 degrees")
	}
	if c.Population != nil && (c.Population.Number < 1 || c.Population.Number > 1e9) {
		p.add("population.number", "OUT_OF_RANGE", "must be 1 to 1,000,000,000")
	}
	if c.Within != "" && (c.Within.Kind() != KindCity || c.Within == c.ID) {
		p.add("within", "INVALID", "must be the id of another city")
	}
}

func (c *City) entry(e *Entry) bool {
	c.Organisation.entry(c.ID, e)
	if n := c.people(); n > 0 {
		e.Numbers[FieldPopulation] = float64(n)
	}
	return true
}

// people is the population; 0 where it is not known.
func (c *City) people() int {
	if c.Population == nil {
		return 0
	}
	return c.Population.Number
}

// AddCity adds a local government to the network.
func (m *Market) AddCity(ctx context.Context, c *City) error {
	if err := m.mustExist(ctx, "within", c.Within); err != nil {
		return err
	}
	return create(ctx, m, MayAddMember, c)
}

// UpdateCity changes a city by a function of its present value, which may run
// more than once; version 0 accepts any present version.
func (m *Market) UpdateCity(ctx context.Context, id ID, version int, change func(*City) error) (*City, error) {
	return update(ctx, m, MayEditMember, id, version, func(c *City) error {
		if err := change(c); err != nil {
			return err
		}
		return m.mustExist(ctx, "within", c.Within)
	})
}

var (
	ownCityContent     = []string{"level", "timeZone"}
	networkCityContent = []string{"coordinates", "population", "within"}
)

// CreateCity adds a local government to the network.
func (m *Market) CreateCity(ctx context.Context, in CreateMemberInput) (*City, error) {
	c := &City{}
	return createMember(ctx, m, in, c, &c.Organisation, append(ownCityContent, networkCityContent...), m.AddCity)
}

// EditCity changes what a city's page says.
func (m *Market) EditCity(ctx context.Context, in EditMemberInput) (*City, error) {
	return editMember(ctx, m, in, ownCityContent, networkCityContent, func(c *City) error { return m.mustExist(ctx, "within", c.Within) })
}

// City returns a city, or ErrNotFound.
func (m *Market) City(ctx context.Context, id ID) (*City, error) { return get[*City](ctx, m, id) }

// CityBySlug returns the city that has this slug, or ErrNotFound.
func (m *Market) CityBySlug(ctx context.Context, slug string) (*City, error) {
	return bySlugOf[*City](ctx, m, KindCity, slug)
}

// Cities lists local governments.
func (m *Market) Cities(ctx context.Context, l Listing) (*Results[*City], error) {
	return list[*City](ctx, m, l, KindCity)
}

// Names of the pages of cities in the API.
type (
	CityConnection = Results[*City]
	CityEdge       = Edge[*City]
)
