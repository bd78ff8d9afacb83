package timetable

import "context"

// gain is what counts in the choice of meetings, the most important first:
// booked meetings, musts, meetings up to a participant's minimum, meetings,
// fairness, scores. Gains are compared in this order, so that no number of
// scores outweighs a must; such vectors can be added and compared like numbers,
// which is all that shortest paths need.
type gain [6]int64

func (g gain) plus(h gain) gain {
	for k := range g {
		g[k] += h[k]
	}
	return g
}

func (g gain) minus(h gain) gain {
	for k := range g {
		g[k] -= h[k]
	}
	return g
}

func (g gain) less(h gain) bool {
	for k := range g {
		if g[k] != h[k] {
			return g[k] < h[k]
		}
	}
	return false
}

// edge is a meeting that may be chosen.
type edge struct {
	from, to int32
	gain     gain
}

// side is a participant on one side of the choice, with the gain of its first,
// second, ... meeting; they must not grow.
type side struct{ gains []gain }

// choice is a flow of greatest gain from the left to the right: sets of edges so
// that none has more at it than it has gains. It is found by successive shortest
// paths (Edmonds and Karp, 1972), each of which takes one more edge, so it is the
// best for every number of edges on the way.
type choice struct {
	left, right []side
	edges       []edge
	out, in     [][]int32 // edges at a participant of the left and the right
	chosen      []bool
	used        [2][]int // of gains
	price       []gain   // potentials: left, right, source, sink
	dist        []gain
	reached     []uint8
	by          []int32 // the edge by which a node was reached; -1 from the source or the sink
	queue       flowQueue
	total       gain
	size        int
}

func newChoice(left, right []side, edges []edge) *choice {
	n := len(left) + len(right) + 2
	c := &choice{left: left, right: right, edges: edges, chosen: make([]bool, len(edges)), price: make([]gain, n), dist: make([]gain, n),
		reached: make([]uint8, n), by: make([]int32, n), out: make([][]int32, len(left)), in: make([][]int32, len(right))}
	c.used = [2][]int{make([]int, len(left)), make([]int, len(right))}
	for k, e := range edges {
		c.out[e.from] = append(c.out[e.from], int32(k))
		c.in[e.to] = append(c.in[e.to], int32(k))
	}
	// Costs are negative gains; prices are the distances in the empty flow, which has no cycle.
	l := len(left)
	for v := range left {
		if len(left[v].gains) > 0 {
			c.price[v] = gain{}.minus(left[v].gains[0])
		}
	}
	sink := n - 1
	for v := range right {
		for _, k := range c.in[v] {
			e := edges[k]
			if d := c.price[e.from].minus(e.gain); d.less(c.price[l+v]) {
				c.price[l+v] = d
			}
		}
		if len(right[v].gains) > 0 {
			if d := c.price[l+v].minus(right[v].gains[0]); d.less(c.price[sink]) {
				c.price[sink] = d
			}
		}
	}
	return c
}

type flowItem struct {
	node int32
	dist gain
}

// flowQueue is a heap, the nearest node first.
type flowQueue []flowItem

func (x flowItem) before(y flowItem) bool {
	return x.dist.less(y.dist) || x.dist == y.dist && x.node < y.node
}

func (q *flowQueue) push(x flowItem) {
	*q = append(*q, x)
	h := *q
	i := len(h) - 1
	for i > 0 && x.before(h[(i-1)/2]) {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = x
}

func (q *flowQueue) pop() flowItem {
	h := *q
	top, x := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
	for i := 0; len(h) > 0; {
		k := 2*i + 1
		if k+1 < len(h) && h[k+1].before(h[k]) {
			k++
		}
		if k >= len(h) || !h[k].before(x) {
			h[i] = x
			break
		}
		h[i] = h[k]
		i = k
	}
	return top
}

// run takes edges while that gains, up to most of them.
func (c *choice) run(ctx context.Context, most int) {
	for c.size < most && ctx.Err() == nil && c.augment() {
	}
}

// augment takes one more edge along the shortest path; false when that gains nothing.
func (c *choice) augment() bool {
	l := len(c.left)
	source, sink := int32(len(c.price)-2), int32(len(c.price)-1)
	clear(c.reached)
	c.queue = c.queue[:0]
	var touched []int32
	relax := func(from int32, to int32, cost gain, by int32) {
		d := c.dist[from].plus(cost).plus(c.price[from]).minus(c.price[to])
		if c.reached[to] == 2 || c.reached[to] == 1 && !d.less(c.dist[to]) {
			return
		}
		c.reached[to], c.dist[to], c.by[to] = 1, d, by
		c.queue.push(flowItem{to, d})
	}
	// next is the cost of one more meeting.
	next := func(s []side, used []int, v int) (gain, bool) {
		if used[v] >= len(s[v].gains) {
			return gain{}, false
		}
		return gain{}.minus(s[v].gains[used[v]]), true
	}
	c.dist[source] = gain{}
	c.reached[source] = 1
	c.queue.push(flowItem{source, gain{}})
	for len(c.queue) > 0 {
		x := c.queue.pop()
		v := x.node
		if c.reached[v] == 2 {
			continue
		}
		c.reached[v] = 2
		touched = append(touched, v)
		switch {
		case v == sink:
			c.queue = c.queue[:0]
		case v == source:
			for u := range c.left {
				if cost, ok := next(c.left, c.used[0], u); ok {
					relax(v, int32(u), cost, -1)
				}
			}
		case int(v) < l:
			for _, k := range c.out[v] {
				if !c.chosen[k] {
					relax(v, int32(l)+c.edges[k].to, gain{}.minus(c.edges[k].gain), k)
				}
			}
		default:
			w := int(v) - l
			for _, k := range c.in[w] {
				if c.chosen[k] {
					relax(v, c.edges[k].from, c.edges[k].gain, k)
				}
			}
			if cost, ok := next(c.right, c.used[1], w); ok {
				relax(v, sink, cost, int32(w))
			}
		}
	}
	if c.reached[sink] != 2 {
		return false
	}
	far := c.dist[sink]
	length := far.plus(c.price[sink]).minus(c.price[source])
	if !length.less(gain{}) {
		return false
	}
	for _, v := range touched {
		c.price[v] = c.price[v].plus(c.dist[v]).minus(far)
	}
	c.total = c.total.minus(length)
	c.size++
	w := c.by[sink]
	c.used[1][w]++
	for v := int32(l) + w; ; {
		k := c.by[v]
		if int(v) >= l {
			c.chosen[k] = true
			v = c.edges[k].from
		} else if k < 0 {
			c.used[0][v]++
			return true
		} else {
			c.chosen[k] = false
			v = int32(l) + c.edges[k].to
		}
	}
}
