package relay

import "encoding/binary"

// messages follows one side of a session, of which it may see any piece at a time:
// a byte tells a message's kind and four its length, themselves included.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
type messages struct {
	// part is called with the pieces of a message's body, which may be empty.
	part func(kind byte, piece []byte, last bool)

	head   [5]byte
	have   int  // bytes of the head
	left   int  // bytes of the body that have not come yet
	broken bool // it is no session of this protocol
}

func (m *messages) follow(p []byte) {
	for len(p) > 0 && !m.broken {
		if m.have < len(m.head) {
			n := copy(m.head[m.have:], p)
			m.have += n
			p = p[n:]
			if m.have < len(m.head) {
				return
			}
			m.left = int(binary.BigEndian.Uint32(m.head[1:])) - 4
			if m.broken = m.left < 0; m.broken {
				return
			}
		}
		n := min(m.left, len(p))
		m.left -= n
		m.part(m.head[0], p[:n], m.left == 0)
		if m.left == 0 {
			m.have = 0
		}
		p = p[n:]
	}
}
