/// One read request: a stretch of registers and the values in it.
package struct ReadBlock: Hashable, Sendable {
    package var function: Int
    package var address: Int
    package var count: Int
    package var quantities: [MeterQuantity]
}

extension MeterProfile {
    /// The fewest read requests that fetch every value: stretches of at most `most` registers that
    /// bridge at most `bridgedRegisters` unused ones. The block with the import register comes first,
    /// because it is the one that is billed.
    ///
    /// Two neighbours of one length are told apart where possible: an answer that arrives too late is
    /// then exposed by its byte count.
    package func plan() -> [ReadBlock] {
        plan(most: maxRegistersPerRead, bridging: bridgedRegisters, importAlone: false)
    }

    /// The plan for a meter that refuses the one above: short reads, none across a hole, and the
    /// import register by itself, so that nothing else can spoil the read that is billed.
    package func cautiousPlan() -> [ReadBlock] {
        plan(most: fallbackRegistersPerRead, bridging: 0, importAlone: true)
    }

    /// A block's values one by one, for a meter that refuses the block.
    package func pieces(of block: ReadBlock) -> [ReadBlock] {
        block.quantities.flatMap { quantity in
            (values[quantity]?.stretches ?? []).map {
                ReadBlock(
                    function: block.function, address: $0.address, count: $0.count,
                    quantities: [quantity])
            }
        }
    }

    private func plan(most: Int, bridging bridged: Int, importAlone: Bool) -> [ReadBlock] {
        let ordered = values.sorted {
            ($0.value.function, $0.value.address, $0.key.rawValue)
                < ($1.value.function, $1.value.address, $1.key.rawValue)
        }
        var blocks: [ReadBlock] = []
        for (quantity, value) in ordered {
            for (address, count) in value.stretches {
                let end = address + count
                if let last = blocks.last, last.function == value.function,
                    !importAlone || !Self.mixesImport(last, quantity),
                    address - (last.address + last.count) <= bridged,
                    end - last.address <= most
                {
                    let longer = max(last.address + last.count, end) - last.address
                    blocks[blocks.count - 1].count = longer
                    if !last.quantities.contains(quantity) {
                        blocks[blocks.count - 1].quantities.append(quantity)
                    }
                } else {
                    blocks.append(
                        ReadBlock(
                            function: value.function, address: address, count: count,
                            quantities: [quantity]))
                }
            }
        }
        guard let first = blocks.firstIndex(where: { $0.quantities.contains(.energyImport) }) else {
            return blocks
        }
        blocks.insert(blocks.remove(at: first), at: 0)
        return Self.interleaved(blocks)
    }

    private static func mixesImport(_ block: ReadBlock, _ quantity: MeterQuantity) -> Bool {
        block.quantities != [quantity]
            && (quantity == .energyImport || block.quantities.contains(.energyImport))
    }

    /// Swaps blocks behind the first so that neighbours differ in length where any order does it.
    private static func interleaved(_ blocks: [ReadBlock]) -> [ReadBlock] {
        var rest = blocks.dropFirst()
        var ordered = Array(blocks.prefix(1))
        while !rest.isEmpty {
            let pick =
                rest.firstIndex { $0.count != ordered.last?.count } ?? rest.startIndex
            ordered.append(rest.remove(at: pick))
        }
        return ordered
    }
}

extension MeterProfile.Value {
    /// The registers that must be read for this value: its own, and its exponent's.
    var stretches: [(address: Int, count: Int)] {
        guard let exponentAddress else { return [(address, count)] }
        return exponentAddress < address
            ? [(exponentAddress, 1), (address, count)] : [(address, count), (exponentAddress, 1)]
    }
}
