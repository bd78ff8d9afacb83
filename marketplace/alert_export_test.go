package marketplace

// NextAlert is for tests of the hour of alerts.
var NextAlert = nextAlert
