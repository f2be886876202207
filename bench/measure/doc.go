// Package measure is how omx measures, for all suites: variants of one piece of
// work, run in turns within one process, so that what else the machine does hits
// all of them alike and their ratio means something.
//
// Per operation it takes wall time, processor time of the whole process
// (getrusage), bytes and allocations, and the latency of one call in 32; of the
// repeats it reports the median and the spread. It knows nothing of what is
// measured, sets no goals and draws no conclusions. Package bench and its suites
// may import it; it imports nothing of this module.
package measure
