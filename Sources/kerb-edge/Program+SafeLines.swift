import HAL
import LinuxHAL
import Service

extension Program {
    /// Takes the outputs that the last `config check` left beside the configuration, at the level at
    /// which nothing happens. The very first thing a run does.
    static func holdSafeLines(_ configuration: String) -> HeldLines {
        let started = ContinuousClock.now
        guard let lines = SafeLines.read(SafeLines.places(configuration: configuration)) else {
            return HeldLines()
        }
        var held = lines.hold(LinuxGPIO())
        held.tookMicroseconds = (ContinuousClock.now - started).inMicroseconds
        return held
    }

    /// Says what was held before the configuration was read.
    static func report(
        _ held: HeldLines, _ configuration: String, _ cabinet: Cabinet, _ settings: EdgeSettings,
        _ log: Log
    ) throws {
        for problem in held.problems {
            log.warning("safe line not held", ["reason": "\(problem)"])
        }
        let wanted = SafeLines(try Cabinet.wishes(cabinet.board, settings))
        guard !wanted.lines.isEmpty else { return }
        log.info(
            "outputs safe before the configuration",
            ["lines": held.count, "tookMicroseconds": held.tookMicroseconds])
        if SafeLines.read(SafeLines.places(configuration: configuration)) != wanted {
            log.warning("safe-lines are not this configuration's; run `kerb-edge config check`")
        }
    }

    /// What a safety input did by itself.
    static func tell(_ fall: GPIOFall, _ log: Log) {
        log.warning(
            "safety input opened",
            [
                "line": fall.line, "role": fall.role.rawValue,
                "opened": fall.opened.joined(separator: ", "),
                "reactionMicroseconds": fall.reactionMicroseconds,
            ])
    }

    /// Leaves the board's outputs where the next start looks for them; says what it did.
    static func writeSafeLines(_ configuration: String, _ wishes: [GPIOWish]) -> String? {
        let lines = SafeLines(wishes)
        do throws(FileError) {
            guard let place = try lines.write(SafeLines.places(configuration: configuration))
            else { return nil }
            return "\(place): \(lines.lines.count) outputs, safe at the next start"
        } catch {
            // Without lines there was only an old file to remove; on most machines nobody may, and
            // there is none.
            guard !lines.lines.isEmpty else { return nil }
            return "safe-lines not written (\(error)): until they are, outputs are safe only once "
                + "the configuration is read; check again as root or as the agent's user"
        }
    }
}

extension Duration {
    fileprivate var inMicroseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
