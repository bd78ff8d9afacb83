package timetable
