import Charging
import Glibc
import TestSupport
import Testing

@testable import Service

private actor Resident {
    private let executor = ThreadExecutor(name: "resident")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
    private var threads: Set<UInt> = []

    func look() async -> Int {
        threads.insert(UInt(pthread_self()))
        await Task.yield()
        threads.insert(UInt(pthread_self()))
        executor.checkIsolated()
        return threads.count
    }

    deinit { executor.stop() }
}

@Suite struct `A thread executor` {
    @Test func `runs all its actor's work on one thread`() async {
        let resident = Resident()
        for _ in 0..<20 { #expect(await resident.look() == 1) }
    }

    @Test func `lets sleepers of any thread wait on its own`() async throws {
        let executor = ThreadExecutor(name: "sleeper")
        let clock = ExecutorClock(.system, on: executor)
        let before = clock.monotonicMilliseconds
        await withThrowingTaskGroup { group in
            for _ in 0..<50 {
                group.addTask { try await clock.sleep(milliseconds: 60) }
                group.addTask(executorPreference: executor) {
                    try await clock.sleep(milliseconds: 20)
                    #expect(executor.isIsolatingCurrentContext() == true)
                }
            }
        }
        let took = clock.monotonicMilliseconds - before
        // Earlier by less than the grid, never by more.
        #expect(took > 60 - ThreadExecutor.wakeGridMilliseconds)
        executor.stop()
    }

    @Test func `wakes a sleeper that is cancelled, before and after it lay down`() async {
        let executor = ThreadExecutor(name: "sleeper")
        for isEarly in [true, false] {
            let task = Task {
                if isEarly { while !Task.isCancelled { await Task.yield() } }
                try await executor.sleep(milliseconds: 3_600_000)
            }
            if !isEarly { await Task.yield() }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        executor.stop()
    }
}

@Suite struct `A blocking queue` {
    @Test func `hands everything over in order, then ends`() async {
        let queue = BlockingQueue<Int>(limit: 10_000)
        let seen = await withCheckedContinuation { continuation in
            _ = NativeThread.start("reader") {
                var seen: [Int] = []
                while let some = queue.take(most: 7) { seen += some }
                continuation.resume(returning: seen)
            }
            for number in 0..<5000 { #expect(throws: Never.self) { try queue.put(number) } }
            queue.close()
        }
        #expect(seen == Array(0..<5000))
    }

    @Test func `refuses more than its limit and anything after its close`() throws {
        let queue = BlockingQueue<Int>(limit: 1)
        try queue.put(1)
        #expect(throws: BlockingQueue<Int>.Refusal.full) { try queue.put(2) }
        queue.close()
        #expect(throws: BlockingQueue<Int>.Refusal.closed) { try queue.put(3) }
        #expect(queue.take(most: 9) == [1])
        #expect(queue.take(most: 9) == nil)
    }

    @Test func `gives an empty answer when its time is up`() {
        #expect(BlockingQueue<Int>(limit: 1).take(most: 1, waitMilliseconds: 1) == [])
    }
}

@Suite struct `A lock` {
    @Test func `lets one thread in at a time`() async {
        let lock = Lock(0)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask { for _ in 0..<1000 { lock.withLock { $0 += 1 } } }
            }
        }
        #expect(lock.withLock { $0 } == 8000)
    }
}

@Suite struct `A back-off` {
    @Test func `doubles up to its limit, spread over the upper half`() {
        var backoff = Backoff(firstMilliseconds: 1000, longestMilliseconds: 5000, seed: 1)
        let waits = (0..<5).map { _ in backoff.next() }
        for (wait, step) in zip(waits, [1000, 2000, 4000, 5000, 5000] as [Int64]) {
            #expect((step / 2...step).contains(wait))
        }
        #expect(backoff.tries == 5)
        backoff.reset()
        #expect((500...1000).contains(backoff.next()))
    }

    @Test func `repeats itself from its seed and survives a million failures`() {
        var (a, b) = (Backoff(seed: 7), Backoff(seed: 7))
        #expect((0..<9).map { _ in a.next() } == (0..<9).map { _ in b.next() })
        for _ in 0..<1_000_000 { _ = a.next() }
        #expect((150_000...300_000).contains(a.next()))
    }
}

@Suite struct `Time zone files` {
    @Test func `are loaded by their names`() throws {
        #expect(try ZoneInfo.load("Europe/Amsterdam").starts(with: "TZif".utf8))
        #expect(try ZoneInfo.load("America/Argentina/Buenos_Aires").count > 44)
    }

    @Test(arguments: [
        "", "../../etc/passwd", "/etc/passwd", "Europe//Paris", "Europe/.", "a\u{0}b",
    ])
    func `never lie outside their folder`(_ name: String) {
        #expect(throws: ZoneInfoError.badName(name)) { try ZoneInfo.load(name) }
    }

    @Test func `must be there and be TZif`() {
        #expect(throws: ZoneInfoError.unknown("Europe/Atlantis")) {
            try ZoneInfo.load("Europe/Atlantis")
        }
        #expect(throws: ZoneInfoError.self) { try ZoneInfo.load("Europe") }
        #expect(throws: ZoneInfoError.damaged("passwd")) {
            try ZoneInfo.load("passwd", folder: "/etc")
        }
    }
}

@Suite struct `The file system` {
    let folder = TemporaryFolder()

    @Test func `replaces a file as a whole, with its mode`() throws {
        let path = folder.file("key")
        try FileSystem.writeAtomically([1, 2, 3], to: path)
        try FileSystem.writeAtomically([4], to: path, mode: 0o640)
        #expect(try FileSystem.read(path) == [4])
        #expect(try FileSystem.mode(of: path) == 0o640)
        #expect(try FileSystem.names(in: folder.path) == ["key"])
    }

    @Test func `says what is wrong`() throws {
        try FileSystem.writeAtomically([1, 2, 3], to: folder.file("f"))
        #expect(throws: FileError.tooLarge(folder.file("f"), limitBytes: 2)) {
            try FileSystem.read(folder.file("f"), limitBytes: 2)
        }
        #expect(throws: FileError.notFound("/nowhere/x")) { try FileSystem.read("/nowhere/x") }
        #expect(throws: FileError.notFound("/nowhere/x")) {
            try FileSystem.writeAtomically([], to: "/nowhere/x")
        }
    }

    @Test func `makes folders down to the last and removes what may not be there`() throws {
        try FileSystem.makeFolder(folder.file("a/b/c"))
        try FileSystem.makeFolder(folder.file("a/b/c"))
        #expect(FileSystem.isFolder(folder.file("a/b/c")))
        try FileSystem.remove(folder.file("none"))
        #expect(try FileSystem.freeBytes(at: folder.path) > 0)
    }
}

@Suite struct `The notifier of systemd` {
    let folder = TemporaryFolder()

    @Test(arguments: [false, true])
    func `sends its state as datagrams`(isAbstract: Bool) throws {
        let name = folder.file("notify")
        let receiver = try DatagramSocket(isAbstract ? "@" + name : name)
        let notifier = SystemdNotifier(environment: [
            "NOTIFY_SOCKET": isAbstract ? "@" + name : name, "WATCHDOG_USEC": "30000000",
            "WATCHDOG_PID": "\(getpid())",
        ])
        #expect(notifier.watchdogMilliseconds == 15_000)
        notifier.ready()
        notifier.status("two\nlines")
        #expect(receiver.receive() == "READY=1")
        #expect(receiver.receive() == "STATUS=two lines")
    }

    @Test func `does nothing without a socket`() {
        let notifier = SystemdNotifier(environment: ["WATCHDOG_USEC": "1000"])
        #expect(notifier.watchdogMilliseconds == nil)
        notifier.ready()
    }
}

@Suite struct `Signals of the process` {
    @Test func `arrive as a stream`() async {
        let stream = Signals.stream()
        kill(getpid(), SIGHUP)
        for await signal in stream {
            #expect(signal == .reload)
            return
        }
    }
}

@Suite struct `A manual clock` {
    @Test func `wakes sleepers when it is moved past their time`() async throws {
        let clock = ManualClock()
        // By the clock that the test holds: no time passes.
        async let done: Void = clock.sleep(milliseconds: 500)
        await clock.sleepers(atLeast: 1)
        clock.advance(milliseconds: 500)
        try await done
        #expect(clock.monotonicMilliseconds == 500)
    }

    @Test func `ends a cancelled sleep`() async {
        let clock = ManualClock()
        // By the clock that the test holds: no time passes.
        let task = Task { try await clock.sleep(milliseconds: 1) }
        await clock.sleepers(atLeast: 1)
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}

private final class DatagramSocket {
    private let descriptor: Int32

    init(_ name: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var path = Array(name.utf8)
        if path[0] == UInt8(ascii: "@") { path[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let length = socklen_t(2 + path.count)
        let failure = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(failure == 0)
    }

    deinit { close(descriptor) }

    func receive() -> String {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }
}
