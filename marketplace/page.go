package marketplace

import (
	"context"
	"errors"
	"slices"
)

// A Page is one page of a list that the store itself keeps in order, for
// lists that need no search: messages, notifications, the audit log.
type Page[P entity] struct {
	Edges    []*PageEdge[P]
	PageInfo PageInfo
}

// A PageEdge is an entry of a Page.
type PageEdge[P entity] struct {
	Node   P
	Cursor string
}

// Nodes are the things of the page without their edges.
func (p *Page[P]) Nodes() []P {
	nodes := make([]P, len(p.Edges))
	for i, e := range p.Edges {
		nodes[i] = e.Node
	}
	return nodes
}

// emptyPage is what page finds where there is nothing, so that a list that a
// viewer may not read looks like one without entries.
func emptyPage[P entity](s Slice) (*Page[P], error) {
	var p problems
	s.into(&p, new(FinderQuery))
	return &Page[P]{Edges: []*PageEdge[P]{}}, p.err()
}

// page reads the part of a query's order that the slice asks for with one
// store operation. What the viewer may not see is left out after that, so the
// queries of lists are made such that it is the exception.
func page[P entity](ctx context.Context, m *Market, kind Kind, q Query, s Slice) (*Page[P], error) {
	return pageOf[P](ctx, m, kind, q, s, false)
}

// fullPage is page for lists in which there is something that some viewers
// must not even suspect. It reads on until the page is full, and names no
// place of what the viewer may not see: so the list is the same as without it.
// Where there is something of that, it costs a store operation more, or a few
// where there is much, each of which reads four times as much as the one before.
func fullPage[P entity](ctx context.Context, m *Market, kind Kind, q Query, s Slice) (*Page[P], error) {
	return pageOf[P](ctx, m, kind, q, s, true)
}

func pageOf[P entity](ctx context.Context, m *Market, kind Kind, q Query, s Slice, full bool) (*Page[P], error) {
	var p problems
	var f FinderQuery
	s.into(&p, &f)
	if s.After != nil && s.Before != nil {
		p.add("before", "INVALID", "cannot be given together with after")
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	backward := f.Last || f.Before != ""
	q.After = f.After
	if backward {
		q.After, q.Descending = f.Before, !q.Descending
	}
	if f.Last && f.After != "" || !f.Last && f.Before != "" && s.First != nil {
		return nil, invalid("after", "INVALID", "goes with first, and before with last")
	}
	q.Limit = f.Size + 1
	out := &Page[P]{Edges: []*PageEdge[P]{}}
	var ids, refs []ID
	n := 0
	var ends []string // positions, also of what the viewer may not see, so that the next page can be asked for
	began := q.After != ""
	for done := false; !done; {
		read := 0
		err := m.fetchAll(ctx, kind, q, func(doc entity, position string, seen bool) {
			read, q.After = read+1, position
			if full && !seen {
				return
			}
			if n++; n <= f.Size {
				ends = append(ends, position)
			}
			if n <= f.Size && seen {
				out.Edges = append(out.Edges, &PageEdge[P]{Node: doc.(P), Cursor: position})
				ids, refs = append(ids, doc.meta().ID), append(refs, doc.refs()...)
			}
		})
		if errors.Is(err, ErrCursor) {
			return nil, ErrBadCursor
		} else if err != nil {
			return nil, err
		}
		done = !full || n > f.Size || read < q.Limit
		q.Limit = min(4*q.Limit, MaxPage)
	}
	more := n > f.Size
	if backward {
		slices.Reverse(out.Edges)
		slices.Reverse(ends)
		out.PageInfo.HasPreviousPage, out.PageInfo.HasNextPage = more, began
	} else {
		out.PageInfo.HasNextPage, out.PageInfo.HasPreviousPage = more, began
	}
	if k := len(ends); k > 0 {
		out.PageInfo.StartCursor, out.PageInfo.EndCursor = &ends[0], &ends[k-1]
	}
	r := readsOf(ctx)
	r.expect(refs)
	r.together(ids)
	return out, nil
}
