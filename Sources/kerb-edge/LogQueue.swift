import Service

/// Writes log lines from a thread of its own: a reader of standard error that has stopped must not
/// stop the thread that opens contactors.
struct LogQueue: Sendable {
    private let lines: BlockingQueue<String>
    private let thread: NativeThread
    private let kept = Lock<[String]>([])

    /// Lines that wait; further ones are dropped, because nobody reads them anyway.
    private static let limit = 2000
    /// The newest lines, kept for black boxes and support bundles.
    private static let mostKept = 400

    init(format: Log.Format) {
        let lines = BlockingQueue<String>(limit: Self.limit)
        self.lines = lines
        let write = Log.sink(for: format)
        thread = NativeThread.start("log", stackBytes: 262_144) {
            while let batch = lines.take(most: 64) {
                for line in batch { write(line) }
            }
        }
    }

    var sink: Log.Sink {
        { [lines, kept] line in
            // Full: see `limit`. Closed: the program has ended.
            try? lines.put(line)
            kept.withLock { kept in
                kept.append(line)
                if kept.count > Self.mostKept + 50 { kept.removeFirst(50) }
            }
        }
    }

    /// The newest lines, the oldest of them first.
    var recent: [String] { kept.withLock { Array($0.suffix(Self.mostKept)) } }

    /// Waits until what is queued is written.
    func close() {
        lines.close()
        thread.join()
    }
}
