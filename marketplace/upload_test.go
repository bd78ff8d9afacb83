package marketplace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	. "citymarket/marketplace"
	"citymarket/marketplace/filestore"
	"citymarket/marketplace/sqlitestore"
)

// A shelf is a marketplace that keeps uploads.
type shelf struct {
	*Market
	store Store
	files *filestore.Files
}

func newShelf(t *testing.T) shelf {
	t.Helper()
	store, err := sqlitestore.Open(filepath.Join(MemoryDir(t), "test.db"), StoreSchema())
	must(t, err)
	files, err := filestore.Open(filepath.Join(MemoryDir(t), "files"))
	must(t, err)
	t.Cleanup(func() { files.Close(); store.Close() })
	fill(t, store)
	return shelf{New(store, nil, Options{Alone: true, Files: files, Temporary: MemoryDir(t), URL: "https://market.example"}), store, files}
}

// pictureOf is a PNG of one colour.
func pictureOf(t *testing.T, width, height int, shade uint8) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, width, height))
	for i := range m.Pix {
		m.Pix[i] = shade
	}
	m.Set(0, 0, color.White)
	var b bytes.Buffer
	must(t, png.Encode(&b, m))
	return b.Bytes()
}

// send uploads a file as somebody.
func (s shelf) send(who Actor, subject ID, name string, content []byte) (*Upload, error) {
	return s.Upload(as(who), subject, name, bytes.NewReader(content))
}

// attach makes a solution refer to uploads.
func (s shelf) attach(who Actor, solution ID, uploads ...*Upload) error {
	media := []any{}
	for _, u := range uploads {
		media = append(media, map[string]any{"type": "DOCUMENT", "file": string(u.ID), "title": []any{map[string]any{"language": "en", "text": "A file"}}})
	}
	_, err := s.EditSolution(as(who), EditSolutionInput{ID: solution, Content: Patch{"media": media}})
	return err
}

// drafted is a draft of Acme with an upload that is attached and one that is not.
func (s shelf) drafted(t *testing.T, slug string) (solution ID, attached, loose *Upload) {
	t.Helper()
	d := draft(slug)
	must(t, s.AddSolution(as(acme), d))
	attached, err := s.send(acme, d.ID, "plan.png", pictureOf(t, 400, 10, 7))
	must(t, err)
	loose, err = s.send(acme, d.ID, "notes.txt", []byte("Notes for "+slug))
	must(t, err)
	must(t, s.attach(acme, d.ID, attached))
	return d.ID, attached, loose
}

// open reads a file as somebody; the error says why not.
func (s shelf) open(who Actor, u *Upload, width int) (content []byte, isPublic bool, err error) {
	name := u.Name
	if width != 0 {
		name = "plan.jpg"
	}
	f, err := s.OpenUpload(as(who), u.ID, width, name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	content, err = io.ReadAll(f)
	return content, f.IsPublic, err
}

// withRole is somebody of a member.
func withRole(member ID, role MemberRole) Actor {
	return Actor{User: ID("user_" + strings.ToLower(string(role))), Memberships: []Membership{{Member: member, Role: role}}, Via: "session_test"}
}

// everyone are actors of every role towards Acme.
var everyone = []struct {
	name  string
	actor Actor
}{
	{"visitor", Actor{}}, {"stranger", Actor{User: "user_stranger", Via: "session_test"}},
	{"rival", rival}, {"rival's owner", withRole("company_rival", RoleOwner)}, {"city", oslo},
	{"viewer", withRole("company_acme", RoleViewer)}, {"editor", acme}, {"owner", withRole("company_acme", RoleOwner)},
	{"sec. editor", Actor{User: "user_e", Secretariat: SecretariatEditor, Via: "session_test"}},
	{"officer", secretariat}, {"admin", Actor{User: "user_a", Secretariat: SecretariatAdmin, Via: "session_test"}},
	{"reading token", Actor{User: acme.User, Memberships: acme.Memberships, ReadOnly: true, Via: "token_test"}},
}

const (
	all   = "visitor, stranger, rival, rival's owner, city, viewer, editor, owner, sec. editor, officer, admin, reading token"
	ours  = "viewer, editor, owner, sec. editor, officer, admin, reading token"
	makes = "editor, owner, officer, admin"
)

func among(list, name string) bool { return slices.Contains(strings.Split(list, ", "), name) }

// Who sees a file, by the state of what it belongs to: whoever sees that, once
// it is attached; before, the company and the secretariat.
func TestWhoSeesAFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state           string
		moves           []SolutionMove
		attached, loose string
	}{
		{"draft", nil, ours, ours},
		{"in review", []SolutionMove{"SUBMIT"}, ours, ours},
		{"published", []SolutionMove{"SUBMIT", "APPROVE"}, all, ours},
		{"taken back", []SolutionMove{"SUBMIT", "APPROVE", "REVISE"}, ours, ours},
		{"archived", []SolutionMove{"SUBMIT", "APPROVE", "ARCHIVE"}, ours, ours},
		{"deleted", []SolutionMove{"DELETE"}, "", ""},
	} {
		t.Run(c.state, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			solution, attached, loose := s.drafted(t, "kerb")
			for _, move := range c.moves {
				if move == "DELETE" {
					must(t, s.DeleteSolution(as(acme), solution, nil))
					continue
				}
				_, err := s.MoveSolution(as(secretariat), MoveSolutionInput{ID: solution, Move: move})
				must(t, err)
			}
			for _, who := range everyone {
				for what, try := range map[string]struct {
					sees string
					err  func() error
				}{
					"the attached file": {c.attached, func() error {
						_, public, err := s.open(who.actor, attached, 0)
						if err == nil && public != (c.attached == all) {
							t.Errorf("%s is said to be public: %v", c.state, public)
						}
						return err
					}},
					"its thumbnail":       {c.attached, func() error { _, _, err := s.open(who.actor, attached, 320); return err }},
					"the other file":      {c.loose, func() error { _, _, err := s.open(who.actor, loose, 0); return err }},
					"the attached upload": {c.attached, func() error { _, err := s.UploadByID(as(who.actor), attached.ID); return err }},
					"it as a node":        {c.loose, func() error { _, err := s.Node(as(who.actor), loose.ID); return err }},
				} {
					err := try.err()
					if (err == nil) != among(try.sees, who.name) || err != nil && !errors.Is(err, ErrNotFound) {
						t.Errorf("%s: %s and %s: %v", c.state, who.name, what, err)
					}
				}
			}
		})
	}
}

// unread must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// Who may upload for what; nothing is read of a body that is not permitted.
func TestWhoMayUpload(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	draft1, attached, _ := s.drafted(t, "one")
	published, _, _ := s.drafted(t, "two")
	for _, move := range []SolutionMove{"SUBMIT", "APPROVE"} {
		_, err := s.MoveSolution(as(secretariat), MoveSolutionInput{ID: published, Move: move})
		must(t, err)
	}
	need := &Proposal{Meta: Meta{Slug: "need"}, City: "city_oslo", Stage: "NEED", Funding: "NONE", Title: english("Less noise"), Problem: english("It is loud."), Topics: []ID{"topic_mobility"}}
	need.Status = ProposalPublished
	must(t, s.AddProposal(as(System), need))
	offer, err := s.MakeOffer(as(acme), MakeOfferInput{Proposal: need.ID, Solution: published, Content: Patch{"message": []any{map[string]any{"language": "en", "text": "Take ours."}}}})
	must(t, err)
	for _, c := range []struct {
		what    string
		subject ID
		may     string
		sees    string // who is told that they may not, rather than that there is nothing
	}{
		{"a draft", draft1, makes, ours},
		{"a published solution", published, makes, all},
		{"a published proposal", need.ID, "city, officer, admin", all},
		{"an offer", offer.ID, "editor, owner", "city, " + ours},
		{"a company", "company_acme", "owner, officer, admin", all},
		{"the vocabulary", "topic_parking", "", ""},
		{"a file", attached.ID, "", ""},
		{"nothing", "solution_nowhere", "", ""},
		{"no id at all", "../../etc", "", ""},
	} {
		for i, who := range everyone {
			may := among(c.may, who.name)
			body := io.Reader(unread{t})
			if may {
				body = strings.NewReader(fmt.Sprint("file ", i, " for ", c.what))
			}
			u, err := s.Upload(as(who.actor), c.subject, "a.txt", body)
			switch {
			case may && err != nil, !may && err == nil:
				t.Errorf("%s for %s: %v", who.name, c.what, err)
			case err == nil:
				if u.Member != map[bool]ID{false: "company_acme", true: "city_oslo"}[c.subject == need.ID] {
					t.Errorf("a file for %s belongs to %s", c.what, u.Member)
				}
			case among(c.sees, who.name) != errors.Is(err, ErrForbidden), !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrNotFound):
				t.Errorf("%s for %s is told %v", who.name, c.what, err)
			}
			_, err = s.Uploads(as(who.actor), c.subject)
			if (err == nil) != (may || who.name == "reading token" && among(c.may, "editor")) {
				t.Errorf("%s lists the files for %s: %v", who.name, c.what, err)
			}
		}
	}
	// What a city may see of an offer is what is attached to it.
	own := withRole("company_acme", RoleOwner)
	paper, err := s.send(own, offer.ID, "paper.txt", []byte("Our paper."))
	must(t, err)
	if _, _, err := s.open(oslo, paper, 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("the city sees what is not attached yet: %v", err)
	}
	_, err = s.EditOffer(as(own), EditOfferInput{ID: offer.ID, Content: Patch{"links": []any{map[string]any{"type": "DOCUMENT", "file": string(paper.ID)}}}})
	must(t, err)
	if _, public, err := s.open(oslo, paper, 0); err != nil || public {
		t.Errorf("the city does not see it: %v", err)
	}
	if _, _, err := s.open(rival, paper, 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("a rival sees it: %v", err)
	}
}

// Only files that were uploaded for a thing can be attached to it, whoever
// has them, and a hash opens nothing.
func TestWhatCanBeAttached(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	first, hers, notes := s.drafted(t, "one")
	second := draft("two")
	must(t, s.AddSolution(as(acme), second))
	foreign := draft("three")
	foreign.Company = "company_rival"
	must(t, s.AddSolution(as(rival), foreign))
	media := func(fields ...string) Patch {
		m := map[string]any{}
		for i := 0; i < len(fields); i += 2 {
			m[fields[i]] = fields[i+1]
		}
		return Patch{"media": []any{m}}
	}
	for _, c := range []struct {
		what     string
		who      Actor
		solution ID
		content  Patch
		problem  string
	}{
		{"its own", acme, first, media("type", "DOCUMENT", "file", string(notes.ID)), ""},
		{"its own picture", acme, first, media("type", "IMAGE", "file", string(hers.ID)), ""},
		{"that of another solution", acme, second.ID, media("type", "IMAGE", "file", string(hers.ID)), "media[0].file NOT_FOUND"},
		{"that of another company", rival, foreign.ID, media("type", "IMAGE", "file", string(hers.ID)), "media[0].file NOT_FOUND"},
		{"a guessed one", rival, foreign.ID, media("type", "IMAGE", "file", "upload_0000000000000000000000000a"), "media[0].file NOT_FOUND"},
		{"a hash", rival, foreign.ID, media("type", "IMAGE", "file", hers.Hash), "media[0].file NOT_FOUND"},
		{"something else", acme, first, media("type", "IMAGE", "file", string(first)), "media[0].file NOT_FOUND"},
		{"a text as a picture", acme, first, media("type", "IMAGE", "file", string(notes.ID)), "media[0].file INVALID"},
		{"a video", acme, first, media("type", "VIDEO", "file", string(notes.ID)), "media[0].file INVALID"},
		{"a link as well", acme, first, media("type", "DOCUMENT", "file", string(notes.ID), "url", "https://a.example/"), "media[0].url INVALID"},
		{"neither", acme, first, media("type", "DOCUMENT"), "media[0].url INVALID"},
	} {
		_, err := s.EditSolution(as(c.who), EditSolutionInput{ID: c.solution, Content: c.content})
		if got := firstProblem(err); got != c.problem {
			t.Errorf("%s: %q, want %q", c.what, got, c.problem)
		}
	}
	_, err := s.CreateSolution(as(rival), CreateSolutionInput{Company: "company_rival", Content: Patch{
		"title": []any{map[string]any{"language": "en", "text": "Theirs"}}, "media": media("type", "IMAGE", "file", string(hers.ID))["media"]}})
	if firstProblem(err) != "media[0].file NOT_FOUND" {
		t.Errorf("a new solution: %v", err)
	}
	// The same content is another upload where somebody else sends it.
	theirs, err := s.send(rival, foreign.ID, "plan.png", pictureOf(t, 400, 10, 7))
	must(t, err)
	if theirs.Hash != hers.Hash || theirs.ID == hers.ID {
		t.Errorf("%s %s and %s %s", theirs.ID, theirs.Hash, hers.ID, hers.Hash)
	}
	if _, _, err := s.open(rival, hers, 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("having the content, they see another's upload of it: %v", err)
	}
	// A logo is a picture of the member's own.
	owner := withRole("company_acme", RoleOwner)
	logo, err := s.send(owner, "company_acme", "logo.png", pictureOf(t, 20, 20, 9))
	must(t, err)
	for file, want := range map[ID]string{notes.ID: "logo NOT_FOUND", hers.ID: "logo NOT_FOUND", logo.ID: ""} {
		if _, err := s.EditCompany(as(owner), EditMemberInput{ID: "company_acme", Content: Patch{"logo": string(file)}}); firstProblem(err) != want {
			t.Errorf("the logo %s: %v", file, err)
		}
	}
	if _, public, err := s.open(visitor, logo, 0); err != nil || !public {
		t.Errorf("the logo: %v", err)
	}
}

func firstProblem(err error) string {
	if invalid := (*InvalidError)(nil); errors.As(err, &invalid) {
		return invalid.Errors[0].Path + " " + invalid.Errors[0].Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// What an upload is, follows from its bytes; its name is made to fit.
func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	solution, _, _ := s.drafted(t, "kerb")
	for name, want := range map[string]string{
		"plan.png": "plan.png", "plan.exe": "plan.exe.png", "../../etc/passwd": "passwd.png", `C:\Users\ada\plan.PNG`: "plan.png",
		"": "file.png", "\x00\x1f": "file.png", "智慧 停车.png": "智慧 停车.png", "a\r\nSet-Cookie: b": "a--Set-Cookie- b.png",
		"cod\u202Egnp.exe": "codgnp.exe.png", "bad\xff.png": "bad.png", "320": "320.png", strings.Repeat("長", 2000): strings.Repeat("長", 60) + ".png",
	} {
		u, err := s.send(acme, solution, name, pictureOf(t, 40, 10, 3))
		if err != nil || u.Name != want {
			t.Errorf("%.40q is kept as %q, %v; want %q", name, u.Name, err, want)
			continue
		}
		f, err := s.OpenUpload(as(acme), u.ID, 0, u.Name)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	u, err := s.send(acme, solution, "plan.png", pictureOf(t, 2000, 1000, 3))
	must(t, err)
	if u.Type != TypePNG || *u.Width != 2000 || *u.Height != 1000 || u.By != acme.User || u.Size == 0 {
		t.Errorf("%+v", u)
	}
	var links []string
	for _, l := range s.ThumbnailsOf(u) {
		links = append(links, fmt.Sprintf("%dx%d %s", l.Width, l.Height, l.URL))
	}
	at := "https://market.example/files/" + string(u.ID)
	if got, want := fmt.Sprint(links), fmt.Sprintf("[320x160 %s/320/plan.jpg 1280x640 %s/1280/plan.jpg]", at, at); got != want || s.UploadURL(u) != at+"/plan.png" {
		t.Errorf("%s and %s", s.UploadURL(u), got)
	}
	for _, c := range []struct {
		width int
		name  string
	}{{0, "other.png"}, {0, "plan.jpg"}, {0, ""}, {321, "plan.jpg"}, {320, "plan.png"}, {-320, "plan.jpg"}} {
		if _, err := s.OpenUpload(as(acme), u.ID, c.width, c.name); !errors.Is(err, ErrNotFound) {
			t.Errorf("%d %q: %v", c.width, c.name, err)
		}
	}
	for what, c := range map[string]struct {
		content []byte
		problem string
	}{
		"nothing":        {nil, "file REQUIRED"},
		"HTML":           {[]byte("<!DOCTYPE html><script>alert(1)</script>"), "file INVALID"},
		"half a picture": {pictureOf(t, 100, 100, 1)[:60], "file INVALID"},
		"too much":       {bytes.Repeat([]byte("a"), MaxDocumentFile+1), "file TOO_LONG"},
	} {
		if _, err := s.send(acme, solution, "a.png", c.content); firstProblem(err) != c.problem {
			t.Errorf("%s: %v", what, err)
		}
	}
	broken := errors.New("the line is cut")
	if _, err := s.Upload(as(acme), solution, "a.txt", io.MultiReader(strings.NewReader("abc"), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("a cut upload: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A duplicate has its files as uploads of its own, whose contents are not
// stored again, and keeps them when the original loses them.
func TestDuplicatesHaveTheirFiles(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	solution, attached, _ := s.drafted(t, "kerb")
	var copies []ID
	for range 2 {
		c, err := s.DuplicateSolution(as(acme), DuplicateSolutionInput{ID: solution, Key: new("again")})
		must(t, err)
		copies = append(copies, c.ID, c.Media[0].File)
	}
	if copies[0] != copies[2] || copies[1] != copies[3] || copies[1] == attached.ID {
		t.Errorf("asked twice, it made %v", copies)
	}
	must(t, s.attach(acme, solution))
	s.later(t, 26*time.Hour)
	s.later(t, 80*time.Hour)
	if _, _, err := s.open(acme, attached, 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("the original's file: %v", err)
	}
	u, err := s.UploadByID(as(acme), copies[1])
	must(t, err)
	if _, _, err := s.open(acme, u, 320); err != nil {
		t.Errorf("the copy's file: %v", err)
	}
	if _, err := s.DuplicateSolution(as(rival), DuplicateSolutionInput{ID: solution}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a rival: %v", err)
	}
}

// later does what is to be done some time from now, and again two hours after that.
func (s shelf) later(t *testing.T, d time.Duration) {
	t.Helper()
	for _, d := range []time.Duration{d, d + 2*time.Hour} {
		s.SetClock(func() time.Time { return time.Now().Add(d) })
		must(t, s.CatchUp(context.Background()))
	}
}

func (s shelf) contents(t *testing.T) int {
	t.Helper()
	list, err := s.files.List(context.Background(), "", MaxPage)
	must(t, err)
	return len(list)
}

// What nobody attaches is removed after a day, what is attached stays, and
// contents go when nothing names them.
func TestTheCollectorRemovesWhatNothingNeeds(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	solution, attached, loose := s.drafted(t, "kerb")
	if _, _, err := s.files.Put(t.Context(), strings.NewReader("of an upload that was cut off"), 100); err != nil {
		t.Fatal(err)
	}
	gone, other, _ := s.drafted(t, "gone")
	must(t, s.CatchUp(context.Background()))
	before := s.contents(t) // the picture, its thumbnail or two, two texts, the rest of a crash
	s.later(t, 20*time.Hour)
	if _, _, err := s.open(acme, loose, 0); err != nil || s.contents(t) != before {
		t.Errorf("too early: %v, %d contents of %d", err, s.contents(t), before)
	}
	must(t, s.DeleteSolution(as(acme), gone, nil))
	s.later(t, 25*time.Hour)
	s.later(t, 80*time.Hour)
	for what, u := range map[string]*Upload{"what is not attached": loose, "what belongs to nothing any more": other} {
		if _, err := s.store.Get(t.Context(), KindUpload, string(u.ID)); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if b, _, err := s.open(acme, attached, 0); err != nil || len(b) == 0 {
		t.Errorf("what is attached: %v", err)
	}
	if n := s.contents(t); n != len(attached.Contents) {
		t.Errorf("%d contents are left, of %d that are needed", n, len(attached.Contents))
	}
	must(t, s.attach(acme, solution))
	s.later(t, 100*time.Hour)
	if _, _, err := s.open(acme, attached, 0); err != nil {
		t.Errorf("what was taken out a moment ago: %v", err)
	}
	must(t, s.attach(acme, solution, attached))
	s.later(t, 130*time.Hour)
	if _, _, err := s.open(acme, attached, 0); err != nil {
		t.Errorf("what was taken out and put in again: %v", err)
	}
	must(t, s.attach(acme, solution))
	s.later(t, 132*time.Hour)
	s.later(t, 160*time.Hour)
	s.later(t, 200*time.Hour)
	if n := s.contents(t); n != 0 {
		t.Errorf("%d contents are left of nothing", n)
	}
}

// An upload can be deleted when it is not in use, by those who may make it;
// then it is gone at once for everybody.
func TestDeletingAnUpload(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	solution, attached, loose := s.drafted(t, "kerb")
	for _, who := range everyone {
		if among(makes, who.name) {
			continue
		}
		if err := s.DeleteUpload(as(who.actor), loose.ID); !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", who.name, err)
		}
	}
	if err := s.DeleteUpload(as(acme), attached.ID); firstProblem(err) != "id INVALID" {
		t.Errorf("in use: %v", err)
	}
	must(t, s.DeleteUpload(as(acme), loose.ID))
	if err := s.DeleteUpload(as(acme), loose.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	if err := s.attach(acme, solution, loose); firstProblem(err) != "media[0].file NOT_FOUND" {
		t.Errorf("attached after it was deleted: %v", err)
	}
	if list, err := s.Uploads(as(acme), solution); err != nil || len(list) != 1 || list[0].ID != attached.ID {
		t.Errorf("%v %v", list, err)
	}
}

// While the collector takes contents away, others send the same again: what
// is acknowledged is there.
func TestTheCollectorAndNewUploadsOfTheSame(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	solution, _, _ := s.drafted(t, "kerb")
	s.SetClock(func() time.Time { return time.Now().Add(48 * time.Hour) })
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := s.CatchUp(context.Background()); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for i := range 20 {
		u, err := s.send(acme, solution, "same.txt", []byte("the same each time"))
		must(t, err)
		must(t, s.attach(acme, solution, u))
		if b, _, err := s.open(acme, u, 0); err != nil || string(b) != "the same each time" {
			t.Fatalf("the %dth: %q, %v", i, b, err)
		}
	}
	close(stop)
	all.Wait()
}
