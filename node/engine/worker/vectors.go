package worker

import (
	"fmt"

	"omx/node/engine/frame"
)

// vectoring is a request for vectors under way.
type vectoring struct {
	request uint32
	texts   [][]token
	room    int // tokens of one step
	done    int // texts
	tokens  int // of those
}

// embed takes a request for vectors.
func (l *loop) embed(c command) {
	texts, room, failure := l.model.texts(c.texts)
	if failure != nil {
		l.send(frame.End, c.request, frame.Result{Failure: *failure})
		return
	}
	l.vectors = append(l.vectors, vectoring{request: c.request, texts: texts, room: room})
}

// stepVectors makes those of a few texts of the oldest request, so that answers under
// way wait for one step at most.
func (l *loop) stepVectors() error {
	if len(l.vectors) == 0 {
		return nil
	}
	v := &l.vectors[0]
	end, tokens := v.done, 0
	for end < len(v.texts) && end-v.done < maxEmbedTexts && (end == v.done || tokens+len(v.texts[end]) <= v.room) {
		tokens += len(v.texts[end])
		end++
	}
	made, err := l.model.vectors(v.texts[v.done:end])
	if err != nil {
		return fmt.Errorf("embed: %w", err)
	}
	for _, x := range made {
		l.frames = frame.Append(l.frames, frame.Frame{Kind: frame.Vector, Request: v.request, Payload: frame.AppendFloats(nil, x)})
	}
	v.done, v.tokens = end, v.tokens+tokens
	if v.done == len(v.texts) {
		l.send(frame.End, v.request, frame.Result{Prompt: v.tokens})
		l.vectors = l.vectors[1:]
	}
	return nil
}
