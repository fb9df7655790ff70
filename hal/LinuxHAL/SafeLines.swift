import Glibc
import HAL
import Service

/// The outputs of a board with the level at which nothing happens: what `config check` leaves beside
/// the configuration, so that the next start can take them before it reads anything else.
///
/// One line each: chip label (`*` for any), line name, `low` or `high`, drive; separated by tabs.
package struct SafeLines: Hashable, Sendable {
    package struct Line: Hashable, Sendable {
        package var chip: String?
        package var name: String
        /// Of the pad.
        package var level: Bool
        package var drive: LineProfile.Drive

        package init(chip: String?, name: String, level: Bool, drive: LineProfile.Drive) {
            self.chip = chip
            self.name = name
            self.level = level
            self.drive = drive
        }
    }

    package var lines: [Line]

    /// A file with more was not written by us.
    package static let mostLines = 256
    package static let mostBytes = 64 << 10
    private static let header = "# kerb-edge safe-lines 1; written by `config check`, not by hand"

    package init(lines: [Line]) { self.lines = lines }

    package init(_ wishes: [GPIOWish]) {
        lines = wishes.filter(\.role.isOutput).map { wish in
            Line(
                chip: wish.chip, name: wish.name, level: wish.profile.isActiveLow,
                drive: wish.profile.drive)
        }
    }

    /// Where they may lie: beside the configuration, because that is all a start knows before it has
    /// read it, or in the agent's own folder, where its user may write and root's may not be.
    ///
    /// - `state`: systemd's `STATE_DIRECTORY`, else the installed folder.
    package static func places(
        configuration: String,
        state: String = getenv("STATE_DIRECTORY").map { String(cString: $0) }
            ?? "/var/lib/kerb-edge"
    ) -> [String] {
        let name = configuration.split(separator: "/").last.map(String.init) ?? "edge.yaml"
        return ["\(configuration).safe-lines", "\(state)/\(name).safe-lines"]
    }

    package var text: String {
        ([Self.header]
            + lines.map {
                "\($0.chip ?? "*")\t\($0.name)\t\($0.level ? "high" : "low")\t\($0.drive.rawValue)"
            }).joined(separator: "\n") + "\n"
    }

    /// nil for what we did not write: better no lines than wrong ones.
    package init?(text: String) {
        var rows = text.split(separator: "\n").map(String.init)
        guard rows.first == Self.header, rows.count <= Self.mostLines else { return nil }
        rows.removeFirst()
        lines = []
        for row in rows {
            let parts = row.split(separator: "\t", omittingEmptySubsequences: false).map(
                String.init)
            guard parts.count == 4, !parts[1].isEmpty, ["low", "high"].contains(parts[2]),
                let drive = LineProfile.Drive(rawValue: parts[3])
            else { return nil }
            lines.append(
                Line(
                    chip: parts[0] == "*" ? nil : parts[0], name: parts[1],
                    level: parts[2] == "high", drive: drive))
        }
    }

    /// What the last `config check` left; nil without a file or with one that is not ours.
    package static func read(_ places: [String]) -> SafeLines? {
        // The newest: whoever checked last may have been able to write in one place only.
        guard let newest = places.max(by: { changed($0) < changed($1) }) else { return nil }
        // No file is the ordinary case on a board without lines.
        guard let bytes = try? FileSystem.read(newest, limitBytes: mostBytes) else { return nil }
        return SafeLines(text: String(decoding: bytes, as: UTF8.self))
    }

    /// When a file was last written, in nanoseconds; before all times for one that is not there.
    private static func changed(_ path: String) -> Int64 {
        var info = stat()
        guard stat(path, &info) == 0 else { return .min }
        return Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
    }

    /// Leaves them in the first place that can be written, and takes older ones out of the others;
    /// without a line in all of them.
    ///
    /// - Returns: the place; nil when there was nothing to write.
    package func write(_ places: [String]) throws(FileError) -> String? {
        var failure: FileError?
        var written: String?
        for place in places {
            do throws(FileError) {
                if written == nil, !lines.isEmpty {
                    // The agent's own user has to read it, and it holds no secret.
                    try FileSystem.writeAtomically(Array(text.utf8), to: place, mode: 0o644)
                    written = place
                } else {
                    try FileSystem.remove(place)
                }
            } catch { if written == nil { failure = failure ?? error } }
        }
        if written == nil, let failure { throw failure }
        return written
    }

    /// Takes every line it can; one that cannot be had keeps no other from its safe level.
    package func hold(_ kernel: any GPIOKernel) -> HeldLines {
        var problems: [GPIOError] = []
        var found: [String: [GPIOLineSetting]] = [:]
        do throws(GPIOError) {
            let chips = try kernel.chips()
            for line in lines {
                do throws(GPIOError) {
                    let place = try GPIOPlan.find(line.name, chip: line.chip, on: chips)
                    found[place.chip, default: []].append(
                        GPIOLineSetting(
                            offset: place.offset, isOutput: true, level: line.level,
                            drive: line.drive))
                } catch { problems.append(error) }
            }
        } catch { problems.append(error) }
        var requests: [HeldLines.Request] = []
        for (chip, settings) in found {
            do throws(GPIOError) {
                guard settings.count <= 64 else { throw .tooMany(chip: chip) }
                let lines = try kernel.request(settings, chip: chip)
                requests.append(.init(chip: chip, settings: settings, lines: lines))
            } catch {
                // One that cannot be had refuses them all: each by itself then.
                for setting in settings {
                    do throws(GPIOError) {
                        let lines = try kernel.request([setting], chip: chip)
                        requests.append(.init(chip: chip, settings: [setting], lines: lines))
                    } catch { problems.append(error) }
                }
            }
        }
        return HeldLines(requests: requests, problems: problems)
    }
}

/// Outputs that are held at their safe level until the drivers take them over.
package struct HeldLines: Sendable {
    package struct Request: Sendable {
        package var chip: String
        package var settings: [GPIOLineSetting]
        package var lines: any GPIORequest
    }

    package var requests: [Request]
    /// Lines that could not be had, and why.
    package var problems: [GPIOError]
    /// From looking for the file to the last line's safe level.
    package var tookMicroseconds: Int64 = 0

    package init(requests: [Request] = [], problems: [GPIOError] = []) {
        self.requests = requests
        self.problems = problems
    }

    package var count: Int { requests.reduce(0) { $0 + $1.settings.count } }
}
