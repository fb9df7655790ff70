import Service

/// Writes log lines from a thread of its own: a reader of standard error that has stopped must not
/// stop the thread that opens contactors.
struct LogQueue: Sendable {
    private let lines: BlockingQueue<String>
    private let thread: NativeThread

    /// Lines that wait; further ones are dropped, because nobody reads them anyway.
    private static let limit = 2000

    init() {
        let lines = BlockingQueue<String>(limit: Self.limit)
        self.lines = lines
        thread = NativeThread.start("log", stackBytes: 262_144) {
            while let batch = lines.take(most: 64) {
                for line in batch { Log.standardError(line) }
            }
        }
    }

    var sink: Log.Sink {
        { [lines] line in
            // Full: see `limit`. Closed: the program has ended.
            try? lines.put(line)
        }
    }

    /// Waits until what is queued is written.
    func close() {
        lines.close()
        thread.join()
    }
}
