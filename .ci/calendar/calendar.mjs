// Reads files of calendars with ical.js and holds what programs rely on.
// Usage: node calendar.mjs FILE...
import fs from 'node:fs'
import ICAL from 'ical.js'

let wrong = 0
const must = (file, ok, what) => {
  if (ok) return
  wrong++
  console.error(`${file}: ${what}`)
}

for (const file of process.argv.slice(2)) {
  const calendar = new ICAL.Component(ICAL.parse(fs.readFileSync(file, 'utf8')))
  const method = calendar.getFirstPropertyValue('method')
  must(file, calendar.getFirstPropertyValue('version') === '2.0' && calendar.getFirstPropertyValue('prodid'), 'no version, or nobody wrote it')
  must(file, ['PUBLISH', 'REQUEST', 'CANCEL'].includes(method), `method ${method}`)
  const seen = new Set()
  for (const component of calendar.getAllSubcomponents()) {
    must(file, component.name === 'vevent', `a ${component.name}`)
    const event = new ICAL.Event(component)
    must(file, event.uid && !seen.has(event.uid), `UID ${event.uid}`)
    seen.add(event.uid)
    must(file, event.startDate.zone === ICAL.Timezone.utcTimezone && event.endDate.compare(event.startDate) > 0, `from ${event.startDate} to ${event.endDate}`)
    must(file, component.getFirstProperty('dtstamp') && Number.isInteger(event.sequence), 'no stamp, or no sequence')
    must(file, /^mailto:\S+@\S+$/.test(event.organizer), `organizer ${event.organizer}`)
    must(file, method === 'PUBLISH' ? event.attendees.length === 0 : event.attendees.length > 0, `${event.attendees.length} attendees`)
    must(file, event.summary.includes('काठमाडौँ महानगरपालिका ↔ Ny-Ålesund; 1, 2'), `summary ${event.summary}`)
    must(file, event.description.includes('Flood gauges:\nin the valley, “now”; C:\\data\n\n한국어 회의 — 議題を確認してください。長い行長い行'), `description ${event.description}`)
  }
}
console.log(`${process.argv.length - 2} files, ${wrong} complaints`)
process.exit(wrong || process.argv.length < 3 ? 1 : 0)
