package grammar

import "fmt"

// formats are the forms of strings that JSON Schema names and libraries ask for, as
// patterns. Whatever matches is of the format, save that nothing bounds how long
// names of hosts are; but a format may have more: years beyond 9999, leap seconds,
// addresses with quotes or in brackets are not written.
var formats = func() map[string]string {
	const (
		leap  = `(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:0[048]|[2468][048]|[13579][26])00)`
		date  = `(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))|` + leap + `-02-29)`
		clock = `(?:[01]\d|2[0-3]):[0-5]\d`
		time  = clock + `:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-]` + clock + `)`

		days   = `\d{1,9}D`
		months = `\d{1,9}M(?:` + days + `)?`
		years  = `\d{1,9}Y(?:` + months + `)?`
		second = `\d{1,9}S`
		minute = `\d{1,9}M(?:` + second + `)?`
		hour   = `\d{1,9}H(?:` + minute + `)?`
		part   = `T(?:` + hour + `|` + minute + `|` + second + `)` // of a day

		octet = `(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
		label = `[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*`
		local = `[\w%+'-]+(?:\.[\w%+'-]+)*`
	)
	all := map[string]string{
		"date":      date,
		"time":      time,
		"date-time": date + `T` + time,
		"duration":  `P(?:(?:` + years + `|` + months + `|` + days + `)(?:` + part + `)?|` + part + `|\d{1,9}W)`,
		"uuid":      `[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`,
		"ipv4":      octet + `(?:\.` + octet + `){3}`,
		"ipv6":      ipv6(),
		"hostname":  label + `(?:\.` + label + `)*`,
		"email":     local + `@(?:` + label + `\.)+[a-zA-Z]{2,}`,
	}
	for name, pattern := range all {
		all[name] = "^(?:" + pattern + ")$"
	}
	return all
}()

// ipv6 matches eight groups, or fewer about one "::".
func ipv6() string {
	const group = `[0-9a-fA-F]{1,4}`
	all := group + `(?::` + group + `){7}|::(?:` + group + `(?::` + group + `){0,6})?|` + group + `(?::` + group + `){6}::`
	for n := 1; n < 7; n++ { // before it
		all += fmt.Sprintf(`|%s(?::%[1]s){%[2]d}::(?:%[1]s(?::%[1]s){0,%[3]d})?`, group, n-1, 6-n)
	}
	return all
}
