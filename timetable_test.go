package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The command solves what it is given, says what is published beside it, tells
// the infeasible from the unreadable, and fails for the latter alone.
func TestTimetableCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const head = "nBusiness = 3;\nnMeetings = 2;\nnTables = 1;\nnTotalSlots = 3;\nnMorningSlots = 2;\n"
	good := write("small.original.dzn", head+"requested = [|1,2,1,|1,3,2|];\nforbidden = [{0},{2},{0}];")
	bad := write("narrow.original.dzn", head+"requested = [|1,2,1,|1,3,2|];\nforbidden = [{3},{0},{0}];")
	write("best_known.csv", "instance,variant,fairness_d,optimum_total_breaks\nsmall,original,2,1\nsmall,original,1,7\n")
	other := write("other.dzn", head+"requested = [|1,2,1,|1,3,2|];")
	solve := func(args ...string) (string, error) {
		var out, log bytes.Buffer
		err := run(t.Context(), append([]string{"timetable"}, args...), func(string) string { return "" }, &out, &log)
		return out.String(), err
	}
	out, err := solve("-seconds", "20", good, bad, other)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.SplitSeq(out, "\n") {
		if f := strings.Fields(line); len(f) > 3 && (strings.HasSuffix(f[0], ".original") || f[0] == "other") {
			lines = append(lines, strings.Join(f[:min(len(f), 8)], " "))
		}
	}
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "small.original optimal 1 1 1 ") || lines[1] != "narrow.original infeasible, proven - - - - -" ||
		!strings.HasPrefix(lines[2], "other optimal 0 0 - ") || !strings.Contains(out, "NO_COMMON_SLOT") {
		t.Errorf("%s", out)
	}
	if _, err := solve(write("broken.dzn", "nBusiness = x;")); err == nil || !strings.Contains(err.Error(), "broken.dzn: timetable: line 1") {
		t.Errorf("%v", err)
	}
	if _, err := solve(); err == nil {
		t.Error("solved nothing")
	}
	if _, err := solve("-generate", "5,5"); err == nil {
		t.Error("generated an event of two numbers")
	}
	out, err = solve("-seconds", "20", "-generate", "10,12,8,1,4")
	if err != nil || !strings.Contains(out, "optimal") {
		t.Errorf("%v\n%s", err, out)
	}
}
