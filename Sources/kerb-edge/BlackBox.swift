import Charging
import JSON
import Service
import Station

/// Keeps the last minutes of every connector, and writes them to disk around a fault.
///
/// A file is a line of JSON a second, a line for everything that changed, to the millisecond, then
/// the newest lines of the log. It lies in the data directory's `blackbox` and goes into the support
/// bundle.
actor BlackBox {
    /// Seconds kept before a fault, and waited for after it.
    static let secondsBefore = 180
    static let secondsAfter = 5
    /// Files kept; the oldest goes.
    static let mostFiles = 20
    /// A connector that faults again and again does not wear the disk out.
    static let restSeconds = 60

    private struct Track {
        var past: [(at: Timestamp, view: ConnectorView)] = []
        var isFaulted = false
        /// Counts down to the writing.
        var writesIn: Int?
        var restsFor = 0
    }

    private let folder: String
    private let controllers: [ConnectorController]
    private let clock: any ServiceClock
    nonisolated let recorder: EventRecorder
    private let recentLog: @Sendable () -> [String]
    private let log: Log
    private var tracks: [ConnectorNumber: Track] = [:]

    init(
        folder: String, controllers: [ConnectorController], recorder: EventRecorder,
        clock: any ServiceClock, log: Log, recentLog: @escaping @Sendable () -> [String]
    ) {
        self.folder = folder
        self.controllers = controllers
        self.recorder = recorder
        self.clock = clock
        self.log = log
        self.recentLog = recentLog
    }

    /// Until cancelled.
    func run() async {
        while !Task.isCancelled {
            for controller in controllers { note(await controller.view()) }
            do { try await clock.sleep(milliseconds: 1000) } catch { return }
        }
    }

    /// The power of the last minutes, a value a second, the oldest first.
    func powers(_ number: ConnectorNumber) -> [Int64] {
        (tracks[number]?.past ?? []).map { $0.view.meter?.power?.value ?? 0 }
    }

    private func note(_ view: ConnectorView) {
        var track = tracks[view.number] ?? Track()
        track.past.append((clock.now, view))
        // In strides: moving the whole row every second would be work for nothing.
        if track.past.count > Self.secondsBefore + 60 { track.past.removeFirst(60) }
        let isFaulted = view.status.status == .faulted
        // One that came and went between two looks counts as well.
        let hasBegun = recorder.takeOccasion(of: view.number) || isFaulted && !track.isFaulted
        if hasBegun, track.writesIn == nil, track.restsFor == 0 {
            track.writesIn = Self.secondsAfter
        }
        track.isFaulted = isFaulted
        track.restsFor = max(0, track.restsFor - 1)
        if let left = track.writesIn {
            track.writesIn = left > 0 ? left - 1 : nil
            if left == 0 {
                write(view.number, track.past)
                track.restsFor = Self.restSeconds
            }
        }
        tracks[view.number] = track
    }

    private func write(_ number: ConnectorNumber, _ past: [(at: Timestamp, view: ConnectorView)]) {
        var text = ""
        for (at, view) in past {
            var line = view.json
            line["at"] = .time(at)
            text += line.text + "\n"
        }
        let oldest = clock.monotonicMilliseconds - Int64(Self.secondsBefore) * 1000
        for entry in recorder.entries
        where entry.connector == number && entry.milliseconds >= oldest {
            text += entry.json.text + "\n"
        }
        for line in recentLog() { text += line + "\n" }
        do throws(FileError) {
            try FileSystem.makeFolder(folder)
            // Numbered and not dated: a board may not know the day.
            let last = try Self.files(in: folder).last.flatMap { Int($0.prefix(6)) } ?? 0
            let digits = String(last + 1)
            let zeros = String(repeating: "0", count: max(0, 6 - digits.count))
            let path = "\(folder)/\(zeros)\(digits)-connector-\(number).txt"
            try FileSystem.writeAtomically(Array(text.utf8), to: path)
            try clear()
            log.notice("black box written", ["connector": number, "file": path])
        } catch {
            log.warning("black box not written", ["error": LogError(error)])
        }
    }

    /// The names of the files, oldest first.
    static func files(in folder: String) throws(FileError) -> [String] {
        guard FileSystem.isFolder(folder) else { return [] }
        return try FileSystem.names(in: folder).filter { $0.hasSuffix(".txt") }
    }

    private func clear() throws(FileError) {
        let names = try Self.files(in: folder)
        for name in names.dropLast(Self.mostFiles) { try FileSystem.remove("\(folder)/\(name)") }
    }
}
