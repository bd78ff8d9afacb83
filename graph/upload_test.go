package graph_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strings"
	"testing"

	"citymarket/marketplace"
)

// Pictures of a page's solutions and logos of their companies are read
// together, for visitors, too.
func TestUploadsAreReadTogether(t *testing.T) {
	t.Parallel()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 400, 4))); err != nil {
		t.Fatal(err)
	}
	a, err := newAPI(t.TempDir(), func(ctx context.Context, m *marketplace.Market) error {
		if err := furnish(ctx, m); err != nil {
			return err
		}
		ctx = marketplace.InBulk(marketplace.WithViewer(ctx, marketplace.Viewer{Actor: marketplace.System}))
		upload := func(subject marketplace.ID) (string, error) {
			u, err := m.Upload(ctx, subject, "a.png", bytes.NewReader(picture.Bytes()))
			if err != nil {
				return "", err
			}
			return string(u.ID), nil
		}
		for i := range 24 {
			company := &marketplace.Company{Meta: marketplace.Meta{Slug: fmt.Sprint("maker-", i)}, Size: "SME", ContactPolicy: "ANYONE"}
			company.Name, company.Country, company.Region = marketplace.Text{{Language: "en", Text: "Maker"}}, "KR", "ASIA_PACIFIC"
			if err := m.AddCompany(ctx, company); err != nil {
				return err
			}
			s := &marketplace.Solution{Meta: marketplace.Meta{Slug: fmt.Sprint("wall-", i)}, Company: company.ID, Status: marketplace.SolutionPublished,
				Title: marketplace.Text{{Language: "en", Text: "A pictured wall"}}, Summary: marketplace.Text{{Language: "en", Text: "A wall."}},
				Topics: []marketplace.ID{"topic_noise"}, Maturity: "PILOTED", PriceModel: "ONE_OFF", PriceBand: "UNDER_10K"}
			if err := m.AddSolution(ctx, s); err != nil {
				return err
			}
			logo, err := upload(company.ID)
			if err != nil {
				return err
			}
			if _, err := m.EditCompany(ctx, marketplace.EditMemberInput{ID: company.ID, Content: marketplace.Patch{"logo": logo}}); err != nil {
				return err
			}
			media := []any{}
			for range 3 {
				file, err := upload(s.ID)
				if err != nil {
					return err
				}
				media = append(media, map[string]any{"type": "IMAGE", "file": file})
			}
			if _, err := m.EditSolution(ctx, marketplace.EditSolutionInput{ID: s.ID, Content: marketplace.Patch{"media": media}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.index.Close(); a.store.Close() })
	var counts []int64
	for _, size := range []int{1, 6, 24} {
		before := a.store.operations.Load()
		_, body := a.ask(fmt.Sprintf(`{ solutions(text: "pictured", first: %d) { nodes { company { logo { url } } media { url file { isAttached thumbnails { url width } } } } } }`, size), nil, nil)
		counts = append(counts, a.store.operations.Load()-before)
		if n := strings.Count(string(body), `"isAttached":true,"thumbnails":[{"url":"https://market.example/files/upload_`); n != 3*size || bytes.Contains(body, []byte("null")) {
			t.Errorf("%d pictures of %d solutions: %.500s", n, size, body)
		}
	}
	// The solutions, their companies, and the uploads of both, which may be
	// asked for one after the other.
	if slices.Max(counts) > 4 {
		t.Errorf("%v store operations for 1, 6 and 24 solutions", counts)
	}
}
