/// "Did you mean": finds the word that was probably meant.
package enum Spelling {
    /// The nearest of `known` by at most two slips (one for short words); nil if none is near.
    package static func nearest(to word: String, among known: some Sequence<String>) -> String? {
        let limit = word.count < 4 ? 1 : word.count < 8 ? 2 : 3
        let near = known.map { (distance(word.lowercased(), $0.lowercased()), $0) }
            .filter { $0.0 <= limit }
        return near.min { $0 < $1 }?.1
    }

    /// Letters inserted, removed, exchanged or swapped with their neighbour.
    static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.unicodeScalars.prefix(64)), Array(b.unicodeScalars.prefix(64)))
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [i]
            for j in 1...b.count {
                var best = min(
                    last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    best = min(best, beforeLast[j - 2] + 1)
                }
                row.append(best)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
