import HAL
import Service

/// A line that a driver wants, in the board's words.
package struct GPIOWish: Hashable, Sendable {
    package var connector: Int
    package var role: LineRole
    /// The kernel's name of the line.
    package var name: String
    /// The chip's label; nil looks on all chips.
    package var chip: String?
    package var profile: LineProfile

    package init(
        connector: Int, role: LineRole, name: String, chip: String?, profile: LineProfile
    ) {
        self.connector = connector
        self.role = role
        self.name = name
        self.chip = chip
        self.profile = profile
    }

    package var owner: String { "connector \(connector)'s \(role.rawValue)" }

    /// How the line is requested: an output with its inactive level.
    func setting(_ offset: UInt32) -> GPIOLineSetting {
        GPIOLineSetting(
            offset: offset, isOutput: role.isOutput, level: role.isOutput && profile.isActiveLow,
            bias: profile.bias, drive: profile.drive,
            debounceMicroseconds: profile.debounceMicroseconds)
    }
}

/// Where every wished line is.
package struct GPIOPlan: Sendable {
    package struct Place: Hashable, Sendable {
        package var chip: String
        package var offset: UInt32

        package init(chip: String, offset: UInt32) {
            self.chip = chip
            self.offset = offset
        }
    }

    package var places: [GPIOWish: Place]
    /// By chip's path: the lines to request, each once.
    package var settings: [String: [GPIOLineSetting]]

    /// - `mayBeHeld`: true where the program that runs may hold the lines already.
    package init(
        _ wishes: [GPIOWish], on chips: [GPIOChip], mayBeHeld: Bool = false
    ) throws(GPIOError) {
        places = [:]
        settings = [:]
        var owners: [Place: GPIOWish] = [:]
        for wish in wishes {
            let place = try Self.find(wish, on: chips)
            if let other = owners[place] {
                guard wish.role == other.role, wish.role.isShareable, wish.profile == other.profile
                else { throw .wantedTwice(wish.name, by: [other.owner, wish.owner]) }
                places[wish] = place
                continue
            }
            let line = chips.first { $0.path == place.chip }?.lines[Int(place.offset)]
            if let holder = line?.holder, !mayBeHeld { throw .held(wish.name, by: holder) }
            owners[place] = wish
            places[wish] = place
            settings[place.chip, default: []].append(wish.setting(place.offset))
        }
        for (chip, lines) in settings where lines.count > 64 { throw .tooMany(chip: chip) }
    }

    static func find(_ wish: GPIOWish, on chips: [GPIOChip]) throws(GPIOError) -> Place {
        try find(wish.name, chip: wish.chip, on: chips)
    }

    /// - `label` of the chip; nil looks on all.
    package static func find(
        _ name: String, chip label: String?, on chips: [GPIOChip]
    ) throws(GPIOError) -> Place {
        let labelled = label.map { label in chips.filter { $0.label == label } } ?? chips
        guard !labelled.isEmpty else {
            throw .noChip(label: chips.isEmpty ? nil : label, known: chips.map(\.label))
        }
        var found: [Place] = []
        for chip in labelled {
            for (offset, line) in chip.lines.enumerated() where line.name == name {
                found.append(Place(chip: chip.path, offset: UInt32(offset)))
            }
        }
        guard let place = found.first else {
            let names = labelled.flatMap(\.lines).map(\.name).filter { !$0.isEmpty }
            throw .noLine(name, chip: label, nearest: Spelling.nearest(to: name, among: names))
        }
        guard found.count == 1 else { throw .ambiguous(name, chips: found.map(\.chip)) }
        return place
    }
}
