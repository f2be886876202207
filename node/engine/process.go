package engine

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"omx/node/engine/frame"
)

// process is one worker. Its goroutine reads what the worker says, reaps it when
// it ends and then tells every request that was running.
type process struct {
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File
	stderr tail
	freed  func()            // a request has left its slot
	speed  func(frame.Rates) // measured
	loads  func(frame.Loading)
	loaded chan any // frame.Info, frame.Hardware or frame.Failure

	writing sync.Mutex
	buf     []byte

	mu     sync.Mutex
	active map[uint32]*inbox
	last   uint32    // request
	heard  time.Time // a frame, or the first request after none
	why    error     // of the end; set once ended is closed
	reaped bool      // or about to be

	ended chan struct{}
}

// startProcess starts a worker that still has to load. The caller must stop it.
func startProcess(exe string, args []string, freed func(), speed func(frame.Rates), loads func(frame.Loading)) (*process, error) {
	p := &process{freed: freed, speed: speed, loads: loads, loaded: make(chan any, 1), active: map[uint32]*inbox{}, ended: make(chan struct{})}
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		childIn.Close()
		in.Close()
		return nil, fmt.Errorf("start worker: %w", err)
	}
	p.stdin, p.stdout = in, out
	p.cmd = exec.Command(exe, args...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = childIn, childOut, &p.stderr
	p.cmd.WaitDelay = closeTimeout
	ownGroup(p.cmd)
	err = p.cmd.Start()
	childIn.Close()
	childOut.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("start worker: %w", err)
	}
	go p.read()
	return p, nil
}

// read runs until the worker closes its end, and then ends everything.
func (p *process) read() {
	r := frame.NewReader(bufio.NewReaderSize(p.stdout, 64<<10))
	var err error
	for err == nil {
		var f frame.Frame
		if f, err = r.Next(); err == nil {
			p.hear()
			err = p.take(f)
		}
	}
	p.kill(true) // it has closed its output or broken the protocol: it is of no use
	waited := p.cmd.Wait()
	p.stdin.Close()
	p.stdout.Close()
	if errors.Is(err, frame.ErrProtocol) {
		waited = err
	}
	why := fmt.Errorf("%w: the worker process ended (%v)%s", ErrLost, waited, p.stderr.lastLines())

	p.mu.Lock()
	p.why = why
	lost := p.active
	p.active = nil
	p.mu.Unlock()
	for _, box := range lost {
		p.over(box, nil, why)
	}
	close(p.ended)
}

func (p *process) hear() {
	p.mu.Lock()
	p.heard = time.Now()
	p.mu.Unlock()
}

// hangs tells whether the worker has requests and has said nothing for so long.
func (p *process) hangs(silence time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.active) > 0 && time.Since(p.heard) > silence
}

func (p *process) take(f frame.Frame) error {
	switch f.Kind {
	case frame.Piece:
		if box := p.box(f.Request, false); box != nil {
			box.put(f.Payload, int(f.Tokens))
		}
		return nil
	case frame.End:
		var r frame.Result
		if err := f.Decode(&r); err != nil {
			return err
		}
		if box := p.box(f.Request, true); box != nil {
			p.over(box, &r, nil)
		}
		return nil
	case frame.Rich:
		var d frame.Detail
		if err := f.Decode(&d); err != nil {
			return err
		}
		if box := p.box(f.Request, false); box != nil {
			box.putRich(&d, int(f.Tokens))
		}
		return nil
	case frame.Vector:
		if len(f.Payload)%4 != 0 {
			return fmt.Errorf("%w: a vector of %d bytes", frame.ErrProtocol, len(f.Payload))
		}
		if box := p.box(f.Request, false); box != nil {
			box.putVector(frame.Floats(f.Payload))
		}
		return nil
	case frame.Progress:
		var l frame.Loading
		if err := f.Decode(&l); err != nil {
			return err
		}
		p.loads(l)
		return nil
	case frame.Speed:
		var r frame.Rates
		if err := f.Decode(&r); err != nil {
			return err
		}
		p.speed(r)
		return nil
	case frame.Ready:
		var info frame.Info
		if err := f.Decode(&info); err != nil {
			return err
		}
		return p.answer(info)
	case frame.Devices:
		var h frame.Hardware
		if err := f.Decode(&h); err != nil {
			return err
		}
		return p.answer(h)
	case frame.Failed:
		var why frame.Failure
		if err := f.Decode(&why); err != nil {
			return err
		}
		return p.answer(why)
	}
	return fmt.Errorf("%w: kind %d from a worker", frame.ErrProtocol, f.Kind)
}

// over ends a request.
func (p *process) over(box *inbox, r *frame.Result, err error) {
	if box.slotted {
		p.freed()
	}
	box.end(r, err)
}

func (p *process) answer(v any) error {
	select {
	case p.loaded <- v:
		return nil
	default:
		return fmt.Errorf("%w: loaded twice", frame.ErrProtocol)
	}
}

func (p *process) box(request uint32, remove bool) *inbox {
	p.mu.Lock()
	defer p.mu.Unlock()
	box := p.active[request]
	if remove {
		delete(p.active, request)
	}
	return box
}

// load has the worker load a model and waits for it.
func (p *process) load(ctx context.Context, cfg frame.LoadConfig) (frame.Info, *frame.Failure, error) {
	v, err := p.first(ctx, frame.Load, cfg, loadTimeout)
	switch v := v.(type) {
	case frame.Info:
		return v, nil, nil
	case frame.Failure:
		return frame.Info{}, &v, nil
	}
	return frame.Info{}, nil, cmp.Or(err, errAnswer)
}

var errAnswer = fmt.Errorf("%w: it answered what it was not asked", frame.ErrProtocol)

// first says the first word to the worker and waits for the answer.
func (p *process) first(ctx context.Context, kind frame.Kind, cfg frame.LoadConfig, timeout time.Duration) (any, error) {
	f, err := frame.Make(kind, 0, cfg)
	if err == nil {
		err = p.write(f)
	}
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	ended := p.ended
	for {
		select {
		case v := <-p.loaded:
			return v, nil
		case <-ended:
			if len(p.loaded) > 0 { // it said why before it ended
				ended = nil
				continue
			}
			return nil, p.why
		case <-timer.C:
			return nil, fmt.Errorf("%w: the worker did not answer within %v", ErrLost, timeout)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// submit hands a job to the worker: what for a Submit, Count or Embed. The box says
// whether it has a slot; if an error is returned, that is the caller's to free, else
// it is freed when the request ends or the worker does.
func (p *process) submit(what frame.Kind, job any, box *inbox) (uint32, error) {
	f, err := frame.Make(what, 0, job)
	if err != nil {
		return 0, fmt.Errorf("%w: %v", ErrBadPrompt, err)
	}
	p.mu.Lock()
	if p.active == nil {
		p.mu.Unlock()
		return 0, errEnded
	}
	for p.last++; p.last == 0 || p.active[p.last] != nil; p.last++ {
	}
	f.Request = p.last
	if len(p.active) == 0 {
		p.heard = time.Now()
	}
	p.active[f.Request] = box
	p.mu.Unlock()
	if p.write(f) != nil {
		p.kill(false) // the reader tells the request, like all others
	}
	return f.Request, nil
}

var errEnded = errors.New("the worker has ended")

// cancel tells the worker that a request is not wanted any more.
func (p *process) cancel(request uint32) {
	if p.box(request, false) == nil {
		return
	}
	if p.write(frame.Frame{Kind: frame.Cancel, Request: request}) != nil {
		p.kill(false)
	}
}

func (p *process) write(f frame.Frame) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.buf = frame.Append(p.buf[:0], f)
	if err := p.stdin.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("write to worker: %w", err)
	}
	_, err := p.stdin.Write(p.buf)
	if cap(p.buf) > 1<<20 { // a long prompt is rare
		p.buf = nil
	}
	if err != nil {
		return fmt.Errorf("write to worker: %w", err)
	}
	return nil
}

// stop ends the worker, by closing its input and then by force, and waits.
func (p *process) stop() {
	p.stdin.Close()
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-p.ended:
		return
	case <-timer.C:
	}
	p.kill(false)
	<-p.ended
}

// kill ends the worker by force, unless it is reaped already: its number may be
// another process's then.
func (p *process) kill(reap bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		killGroup(p.cmd)
	}
	p.reaped = p.reaped || reap
}
