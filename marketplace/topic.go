package marketplace

import (
	"cmp"
	"context"
	"slices"
)

// A Topic is a node of the vocabulary: a domain, or a sub-topic of one.
type Topic struct {
	Meta `json:",inline"`

	Label  Text `json:"label"`
	Parent ID   `json:"parent,omitempty"` // the domain; empty for a domain
	Order  int  `json:"order"`            // place among its siblings
}

// KindTopic is the kind of Topic. Topics are few: they are listed whole, by id.
var KindTopic = register("topic", func() entity { return new(Topic) })

func (*Topic) kind() Kind           { return KindTopic }
func (*Topic) audience() []Group    { return []Group{Everyone} }
func (*Topic) parties() []ID        { return nil }
func (*Topic) claims() []string     { return nil }
func (t *Topic) texts() []NamedText { return []NamedText{{"label", &t.Label}} }
func (*Topic) entry(*Entry) bool    { return false }

func (t *Topic) refs() []ID {
	if t.Parent == "" {
		return nil
	}
	return []ID{t.Parent}
}

func (t *Topic) validate(p *problems) {
	t.Label.check(p, "label", 120, true)
	if t.Parent != "" && (t.Parent.Kind() != KindTopic || t.Parent == t.ID) {
		p.add("parent", "INVALID", "must be the id of another topic")
	}
}

// AddTopic adds a node to the vocabulary.
func (m *Market) AddTopic(ctx context.Context, t *Topic) error {
	if err := m.mustExist(ctx, "parent", t.Parent); err != nil {
		return err
	}
	return create(ctx, m, MayEditVocabulary, t)
}

var topicContent = []string{"label", "parent", "order"}

// CreateTopicInput is what CreateTopic takes.
type CreateTopicInput struct {
	Content Patch
	Key     *string // a word of the client's own: the same word makes no second one
}

// CreateTopic adds a node to the vocabulary.
func (m *Market) CreateTopic(ctx context.Context, in CreateTopicInput) (*Topic, error) {
	t := &Topic{}
	if err := applyPatch(in.Content, t, topicContent); err != nil {
		return nil, err
	}
	return named(ctx, m, t, t.Label, in.Key, m.AddTopic)
}

// EditTopicInput is what EditTopic takes.
type EditTopicInput struct {
	ID      ID
	Version *int // that was read; nil: any
	Content Patch
}

// EditTopic changes a node of the vocabulary.
func (m *Market) EditTopic(ctx context.Context, in EditTopicInput) (*Topic, error) {
	return update(ctx, m, MayEditVocabulary, in.ID, versionOf(in.Version), func(t *Topic) error {
		t.mark("EDIT", fieldsOf(in.Content))
		if err := applyPatch(in.Content, t, topicContent); err != nil {
			return err
		}
		return m.mustExist(ctx, "parent", t.Parent)
	})
}

// Topic returns a topic, or ErrNotFound.
func (m *Market) Topic(ctx context.Context, id ID) (*Topic, error) { return get[*Topic](ctx, m, id) }

// TopicBySlug returns the topic that has this slug, or ErrNotFound.
func (m *Market) TopicBySlug(ctx context.Context, slug string) (*Topic, error) {
	return bySlugOf[*Topic](ctx, m, KindTopic, slug)
}

// Topics returns the children of a topic in their order; the domains for an
// empty parent. The whole vocabulary is read once in a request.
func (m *Market) Topics(ctx context.Context, parent ID) ([]*Topic, error) {
	all, err := once(ctx, "topics", func() ([]*Topic, error) {
		return find[*Topic](ctx, m, KindTopic, Query{Limit: MaxPage})
	})
	if err != nil {
		return nil, err
	}
	children := []*Topic{}
	for _, t := range all {
		if t.Parent == parent {
			children = append(children, t)
		}
	}
	slices.SortFunc(children, func(a, b *Topic) int { return cmp.Compare(a.Order, b.Order) })
	return children, nil
}

// TopicsOf returns the topics of the ids in their order, without those that are gone.
func (m *Market) TopicsOf(ctx context.Context, ids []ID) ([]*Topic, error) {
	return several[*Topic](ctx, m, ids)
}

// checkTopics reports topics that do not exist and sets the domains that
// those which exist belong to.
func (m *Market) checkTopics(ctx context.Context, p *problems, ids []ID, domains *[]ID) error {
	if len(ids) > MaxValues {
		return nil // validate says so
	}
	docs, err := m.load(ctx, ids)
	if err != nil {
		return err
	}
	*domains = []ID{}
	for i, d := range docs {
		t, ok := d.(*Topic)
		if !ok && !p.has(index("topics", i)) {
			p.add(index("topics", i), "NOT_FOUND", "there is no such topic")
		}
		if ok && t.Parent != "" && !slices.Contains(*domains, t.Parent) && !slices.Contains(ids, t.Parent) {
			*domains = append(*domains, t.Parent)
		}
	}
	return nil
}
