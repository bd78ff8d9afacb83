package seed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path"
	"time"

	"citymarket/marketplace"
)

// The sample files name members, companies and topics by their slugs and
// days relative to the day of loading, so that they do not grow old. What
// else they hold is in the domain's own shape.

type sampleCompany struct {
	marketplace.Company
	Regions []marketplace.Region `json:"regions"`
}

type sampleSolution struct {
	marketplace.Solution
	Company     string             `json:"company"`
	Topics      []string           `json:"topics"`
	Deployments []sampleDeployment `json:"deployments"`
}

type sampleDeployment struct {
	marketplace.Deployment
	City string `json:"city"`
}

type sampleProposal struct {
	marketplace.Proposal
	City         string   `json:"city"`
	Topics       []string `json:"topics"`
	StartMonths  *int     `json:"startMonths"`
	EndMonths    *int     `json:"endMonths"`
	DeadlineDays *int     `json:"deadlineDays"`
}

// read decodes every sample file whose name matches the pattern.
func read[T any](pattern string) ([]T, error) {
	return readAs[T](pattern, func(b []byte) []byte { return b })
}

// readAs is read of files in which something is filled in first.
func readAs[T any](pattern string, fill func([]byte) []byte) ([]T, error) {
	names, err := fs.Glob(files, path.Join("sample", pattern))
	if err != nil {
		return nil, err
	}
	var all []T
	for _, name := range names {
		b, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var list []T
		d := json.NewDecoder(bytes.NewReader(fill(b)))
		d.DisallowUnknownFields() // a misspelt key would be lost without a word
		if err := d.Decode(&list); err != nil {
			return nil, fmt.Errorf("seed: %s: %w", name, err)
		}
		all = append(all, list...)
	}
	return all, nil
}

func topicIDs(slugs []string) []marketplace.ID {
	ids := make([]marketplace.ID, len(slugs))
	for i, s := range slugs {
		ids[i] = marketplace.ID("topic_" + s)
	}
	return ids
}

func companies() ([]*marketplace.Company, error) {
	list, err := read[sampleCompany]("companies*.json")
	out := make([]*marketplace.Company, len(list))
	for i := range list {
		c := &list[i].Company
		c.ID, c.IsSample = marketplace.ID("company_"+c.Slug), true
		c.Region, c.RegionsServed = c.Country.Region(), list[i].Regions
		out[i] = c
	}
	return out, err
}

func solutions(today time.Time) ([]*marketplace.Solution, error) {
	list, err := read[sampleSolution]("solutions*.json")
	out := make([]*marketplace.Solution, len(list))
	for i := range list {
		s := &list[i].Solution
		s.ID, s.IsSample = marketplace.ID("solution_"+s.Slug), true
		s.Company = marketplace.ID("company_" + list[i].Company)
		s.Topics = topicIDs(list[i].Topics)
		s.CreatedAt = enteredBefore(today, s.Slug)
		for _, d := range list[i].Deployments {
			if d.City != "" {
				d.Deployment.City = marketplace.ID("city_" + d.City)
			}
			s.Deployments = append(s.Deployments, d.Deployment)
		}
		if s.Status == marketplace.SolutionPublished || s.Status == marketplace.SolutionArchived {
			s.PublishedAt = new(s.CreatedAt)
		}
		out[i] = s
	}
	return out, err
}

func proposals(today time.Time) ([]*marketplace.Proposal, error) {
	list, err := read[sampleProposal]("proposals*.json")
	out := make([]*marketplace.Proposal, len(list))
	for i := range list {
		p := &list[i].Proposal
		p.ID, p.IsSample = marketplace.ID("proposal_"+p.Slug), true
		p.City = marketplace.ID("city_" + list[i].City)
		p.Topics = topicIDs(list[i].Topics)
		p.CreatedAt = enteredBefore(today, p.Slug)
		p.StartDate, p.EndDate = month(today, list[i].StartMonths), month(today, list[i].EndMonths)
		if d := list[i].DeadlineDays; d != nil {
			p.Deadline = new(marketplace.Date(today.AddDate(0, 0, *d).Format(time.DateOnly)))
		}
		if p.Status != marketplace.ProposalDraft {
			p.PublishedAt = new(p.CreatedAt)
		}
		out[i] = p
	}
	return out, err
}

// month is the first day of the month that lies so many months after today's.
func month(today time.Time, n *int) *marketplace.Date {
	if n == nil {
		return nil
	}
	first := time.Date(today.Year(), today.Month()+time.Month(*n), 1, 0, 0, 0, 0, time.UTC)
	return new(marketplace.Date(first.Format(time.DateOnly)))
}

// enteredBefore spreads the sample over the two years before today, always
// in the same way, so that "newest first" has an order.
func enteredBefore(today time.Time, slug string) time.Time {
	h := fnv.New32a()
	h.Write([]byte(slug))
	minutes := 1 + h.Sum32()%(730*24*60)
	return today.Add(-time.Duration(minutes) * time.Minute)
}
