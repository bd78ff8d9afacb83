package timetable
import ("testing";"context";"fmt";"os";"syscall";"time")
func TestLabBig(t *testing.T){
	if os.Getenv("BIG")=="" {t.Skip()}
	for _,e:=range []Event{{Participants: 500, Wishes: 4000, Slots: 24, Days: 2, Tables: 250, Absent: 0.3, Seats: 0.2, Mixed:0.1,Sessions:true},{Participants: 60, Wishes: 300, Slots: 10, Days: 1, Tables: 20, Absent: 0.2, Seats: 0.1, Mixed: 0.3},{Participants: 120, Wishes: 900, Slots: 16, Days: 2, Tables: 30, Absent: 0.4, Seats: 0.2, Sessions: true, Owned: 10}}{
	p := Generate(e)
	c := cpu()
	res, err := Solve(context.Background(), p, Options{Progress: func(x Progress) { fmt.Printf("%.2f %v\n",cpu()-c, x) }})
	if err != nil { t.Fatal(err) }
	v := Verify(p, res.Placements)
	fmt.Println(res.Status, res.Measures, v, "cpu", cpu()-c)
	}
}
func cpu() float64 { var u syscall.Rusage; syscall.Getrusage(0, &u); return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds() }
