/// The last answers of one connection, so that a repeated call gets the same bytes and runs once.
///
/// Calls of one station are handled in order, so a repetition is looked up only after the first is
/// answered. The same id with another payload is a new message: some stations restart counters.
package struct ReplyCache: Sendable {
    package enum Finding: Hashable, Sendable {
        case new
        /// The answer given before, byte for byte.
        case repeated([UInt8])
        /// The id was used for another message.
        case reused
    }

    private struct Entry {
        var id: MessageID
        var fingerprint: Int
        var reply: [UInt8]
    }

    private var entries: [Entry] = []
    private var next = 0
    private var bytes = 0

    package init() {}

    /// A hash of a whole message that differs between runs of the program.
    package static func fingerprint(of message: RawSpan) -> Int {
        var hasher = Hasher()
        message.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }

    package func find(_ id: MessageID, fingerprint: Int) -> Finding {
        var isReused = false
        for entry in entries where entry.id == id {
            if entry.fingerprint == fingerprint { return .repeated(entry.reply) }
            isReused = true
        }
        return isReused ? .reused : .new
    }

    package mutating func remember(_ id: MessageID, fingerprint: Int, reply: [UInt8]) {
        guard reply.count <= OCPPLimits.rememberedReplyBytes else { return }
        let entry = Entry(id: id, fingerprint: fingerprint, reply: reply)
        if entries.count < OCPPLimits.rememberedReplies {
            entries.append(entry)
            bytes += reply.count
        } else {
            bytes += reply.count - entries[next].reply.count
            entries[next] = entry
            next = (next + 1) % OCPPLimits.rememberedReplies
        }
        if bytes > OCPPLimits.rememberedReplyBytes {
            entries = [entry]
            next = 0
            bytes = reply.count
        }
    }
}
