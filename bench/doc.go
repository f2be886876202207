// Package bench writes the report of all suites, BENCHMARKS.md. The suites are
// the packages below it; the command line and nothing else imports it.
package bench
