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

    /// Beside the configuration, because that is all a start knows before it has read it.
    package static func path(configuration: String) -> String { configuration + ".safe-lines" }

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
    package static func read(configuration: String) -> SafeLines? {
        // No file is the ordinary case on a board without lines.
        guard
            let bytes = try? FileSystem.read(
                path(configuration: configuration), limitBytes: mostBytes)
        else { return nil }
        return SafeLines(text: String(decoding: bytes, as: UTF8.self))
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
