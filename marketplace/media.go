package marketplace

import "context"

// Media is a picture, a video or a document: a link to where it lies
// elsewhere, or an uploaded file.
type Media struct {
	Type  MediaType `json:"type"`
	URL   string    `json:"url,omitempty"`  // where it lies elsewhere
	File  ID        `json:"file,omitempty"` // where it was uploaded
	Title Text      `json:"title,omitempty"`
}

// A MediaType is what a link or a file shows.
type MediaType string

// MediaTypes are all of them.
var MediaTypes = []MediaType{"IMAGE", "VIDEO", "DOCUMENT"}

func checkMedia(p *problems, path string, list []Media, max int) {
	if !p.max(path, len(list), max) {
		return
	}
	seen := make(map[ID]bool)
	for i, m := range list {
		at := index(path, i)
		checkOne(p, at+".type", m.Type, MediaTypes)
		switch {
		case m.File == "":
			checkURL(p, at+".url", m.URL, true)
		case m.URL != "":
			p.add(at+".url", "INVALID", "cannot be given together with a file")
		case m.Type == "VIDEO":
			p.add(at+".file", "INVALID", "cannot be a video: give the url of where it lies")
		case seen[m.File]:
			p.add(at+".file", "DUPLICATE", "is there twice")
		}
		seen[m.File] = m.File != ""
		m.Title.check(p, at+".title", 200, false)
	}
}

// filesOf are the files of a list of media in the field of that name.
func filesOf(path string, list []Media) []attachment {
	var files []attachment
	for i, m := range list {
		if m.File != "" {
			files = append(files, attachment{index(path, i) + ".file", m.File, m.Type == "IMAGE"})
		}
	}
	return files
}

// MediaFile is the file of a medium; nil where it is a link, or the file is
// not there any more.
func (m *Market) MediaFile(ctx context.Context, media *Media) (*Upload, error) {
	if media.File == "" {
		return nil, nil
	}
	u, err := m.UploadByID(ctx, media.File)
	return u, ignore(err, ErrNotFound)
}

// MediaURL is where a medium is to be had. For a file that is not there any
// more it is an address that says so.
func (m *Market) MediaURL(ctx context.Context, media *Media) (string, error) {
	if media.File == "" {
		return media.URL, nil
	}
	u, err := m.MediaFile(ctx, media)
	if err != nil {
		return "", err
	}
	if u == nil {
		u = &Upload{Meta: Meta{ID: media.File}, Name: "file"}
	}
	return m.UploadURL(u), nil
}
