package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

type embedCmd struct {
	target
	Model      string   `arg:"" help:"Model that makes the embeddings, as omx models lists it."`
	Text       []string `arg:"" optional:"" help:"Texts; none: the lines of the input."`
	Dimensions int      `help:"Cut the vectors to so many numbers (default: as many as the model makes)."`
	JSON       bool     `help:"Print one JSON object (default: a line of numbers for each text)."`
}

// maxTexts is what a node takes in one request.
const maxTexts = 2048

func (c *embedCmd) Run(e *env) error {
	texts := c.Text
	if len(texts) == 0 {
		lines := bufio.NewScanner(e.stdin)
		lines.Buffer(nil, maxQuestion)
		for lines.Scan() {
			if line := strings.TrimSpace(lines.Text()); line != "" {
				texts = append(texts, line)
			}
		}
		if err := lines.Err(); err != nil {
			return fmt.Errorf("read texts: %w; a line may have %d bytes", err, maxQuestion)
		}
	}
	if len(texts) == 0 || len(texts) > maxTexts {
		return usageError{fmt.Errorf("%d texts are given; name 1 to %d, or one a line of the input", len(texts), maxTexts)}
	}
	body := map[string]any{"model": c.Model, "input": texts}
	if c.Dimensions != 0 {
		body["dimensions"] = c.Dimensions
	}
	resp, err := c.post(e.ctx, "/v1/embeddings", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxVectors))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if c.JSON {
		_, err = e.stdout.Write(reply)
		return err
	}
	var answer struct {
		Data []struct{ Embedding []json.Number }
	}
	if err := json.Unmarshal(reply, &answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if len(answer.Data) != len(texts) {
		return errors.New("the node gave another number of vectors than of texts")
	}
	out := bufio.NewWriter(e.stdout)
	for _, d := range answer.Data {
		for i, x := range d.Embedding {
			if i > 0 {
				out.WriteByte(' ')
			}
			out.WriteString(x.String())
		}
		out.WriteByte('\n')
	}
	return out.Flush()
}

// maxVectors bounds an answer: 2,048 vectors of 8,192 numbers of 12 bytes.
const maxVectors = 256 << 20
