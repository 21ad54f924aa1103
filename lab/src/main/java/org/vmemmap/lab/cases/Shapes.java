// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The keys of the case format, each with what its value means: section 4 and 5 of its document. */
final class Shapes {
  private static final Shape INT = new Shape.Leaf(Shape.Kind.INT);
  private static final Shape HEX = new Shape.Leaf(Shape.Kind.HEX);
  private static final Shape TEXT = new Shape.Leaf(Shape.Kind.TEXT);
  private static final Shape BOOL = new Shape.Leaf(Shape.Kind.BOOL);
  private static final Shape WHERE = new Shape.Leaf(Shape.Kind.WHERE);
  private static final Shape AT = new Shape.Leaf(Shape.Kind.INDEXES);

  private Shapes() {}

  /** The keys of an object, one after the other. */
  private static final class Keys {
    private final Map<String, Shape> known = new LinkedHashMap<>();

    Keys with(String key, Shape shape) {
      known.put(key, shape);
      return this;
    }

    /** The object; nothing can be compared without the keys that {@code required} names. */
    Shape.Members build(String... required) {
      return new Shape.Members(new LinkedHashMap<>(known), Set.of(required));
    }
  }

  private static Shape.Items items(Shape item, String... keys) {
    return new Shape.Items(item, List.of(keys));
  }

  /** What a step expects. */
  static Shape.Members expect() {
    return new Keys()
        .with("vmstat", vmstat())
        .with("managedPagesChange", INT)
        .with("hugepages", items(hugepages(), "size"))
        .with("pool", items(pool(), "order", "node", "zone", "private", "refcount"))
        .with("zones", items(zone(), "node", "name"))
        .with("zoneFreeChange", items(zoneFreeChange(), "node", "zone"))
        .with("badPageReports", BOOL)
        .with("vmemmap", vmemmap())
        .with("zoneTails", items(zoneTail(), "node", "zone", "order"))
        .with("sections", items(section(), "first"))
        .with("ranges", new Shape.Sequence(range()))
        .with("altmap", altmap())
        .with("selfHosted", BOOL)
        .with("hugepageSizes", new Shape.Sequence(INT))
        .with("optimizeSysctl", TEXT)
        .build();
  }

  private static Shape.Members vmstat() {
    return new Keys().with("nr_memmap_pages", INT).with("nr_memmap_boot_pages", INT).build();
  }

  private static Shape.Members hugepages() {
    return new Keys()
        .with("size", INT)
        .with("total", INT)
        .with("free", INT)
        .with("surplus", INT)
        .with("reserved", INT)
        .with("perNode", new Shape.Named(INT))
        .build();
  }

  private static Shape.Members pool() {
    return new Keys()
        .with("order", INT)
        .with("node", INT)
        .with("zone", TEXT)
        .with("private", HEX)
        .with("refcount", INT)
        .with("pfns", new Shape.Pfns())
        .build();
  }

  private static Shape.Members zone() {
    return new Keys()
        .with("node", INT)
        .with("name", TEXT)
        .with("startPfn", new Shape.Leaf(Shape.Kind.INT_IF_READ))
        .with("spannedPages", INT)
        .with("presentPages", INT)
        .build();
  }

  private static Shape.Members zoneFreeChange() {
    return new Keys().with("node", INT).with("zone", TEXT).with("pages", INT).build();
  }

  private static Shape.Members vmemmap() {
    return new Keys()
        .with("tables", new Keys().with("pud", INT).with("pmd", INT).with("pte", INT).build())
        .with("leaves", items(leaf(), "level", "flags"))
        .with("mappedPages", INT)
        .with("distinctPages", INT)
        .with("readOnlyPages", INT)
        .with("shared", items(shared(), "tail", "maps"))
        .with("leafRanges", items(leafRange(), "start"))
        .build();
  }

  private static Shape.Members leaf() {
    return new Keys()
        .with("level", TEXT)
        .with("flags", HEX)
        .with("count", INT)
        .with("size", INT)
        .build();
  }

  private static Shape.Members shared() {
    return new Keys()
        .with("maps", INT)
        .with("writableMaps", INT)
        .with("refcount", INT)
        .with("frames", INT)
        .with("tail", TEXT)
        .build();
  }

  private static Shape.Members leafRange() {
    return new Keys().with("level", TEXT).with("start", HEX).with("end", HEX).build();
  }

  private static Shape.Members zoneTail() {
    Shape slot = new Keys().with("at", AT).with("words", new Shape.Words()).build("at", "words");
    return new Keys()
        .with("node", INT)
        .with("zone", TEXT)
        .with("order", INT)
        .with("refcount", INT)
        .with("uniform", BOOL)
        .with("words", new Shape.Words())
        .with("slots", new Shape.Sequence(slot))
        .build();
  }

  private static Shape.Members section() {
    return new Keys()
        .with("first", INT)
        .with("n", INT)
        .with("flags", HEX)
        .with("subsections", HEX)
        .build();
  }

  private static Shape.Members altmap() {
    return new Keys()
        .with("basePfn", INT)
        .with("endPfn", INT)
        .with("reservePages", INT)
        .with("freePages", INT)
        .with("alignPages", INT)
        .with("allocPages", INT)
        .build();
  }

  private static Shape.Members range() {
    return new Keys()
        .with("what", TEXT)
        .with("startPfn", WHERE)
        .with("pages", WHERE)
        .with("order", INT)
        .with("state", TEXT)
        .with("dataPfn", INT)
        .with("ptes", new Shape.Sequence(ptes()))
        .with("tableEntries", items(tableEntry(), "in"))
        .with("structPages", new Shape.Sequence(structPages()))
        .with("structPagesSeen", AT)
        .with("kpageflags", new Shape.Sequence(kpage("flags", HEX)))
        .with("kpagecount", new Shape.Sequence(kpage("count", INT)))
        .with("backing", new Shape.Sequence(backing()))
        .build("startPfn", "pages");
  }

  private static Shape.Members tableEntry() {
    return new Keys().with("in", TEXT).with("flags", HEX).build();
  }

  private static Shape.Members kpage(String key, Shape shape) {
    return new Keys().with("at", AT).with(key, shape).build("at");
  }

  private static Shape.Members backing() {
    return new Keys()
        .with("vpages", AT)
        .with("frame", TEXT)
        .with("pageFlags", HEX)
        .with("refcount", INT)
        .build("vpages");
  }

  private static Shape.Members ptes() {
    return pteGroup()
        .with("vpage", INT)
        .with("repeat", INT)
        .with("each", new Shape.Sequence(pteGroup().build()))
        .build();
  }

  private static Keys pteGroup() {
    return new Keys()
        .with("n", INT)
        .with("level", TEXT)
        .with("flags", HEX)
        .with("frame", TEXT)
        .with("leaves", INT)
        .with("firstPfn", INT)
        .with("step", INT)
        .with("tail", TEXT);
  }

  private static Shape.Members structPages() {
    return new Keys()
        .with("at", AT)
        .with("role", TEXT)
        .with("words", new Shape.Words())
        .with("sameAs", TEXT)
        .with("mask0", new Shape.Leaf(Shape.Kind.MASK))
        .with("from", TEXT)
        .build("at");
  }

  /** What the kernel answered to an operation. */
  static Shape.Members results() {
    Shape oops = new Keys().with("touches", TEXT).with("in", TEXT).with("what", TEXT).build();
    Shape blocks =
        new Keys()
            .with("first", INT)
            .with("count", INT)
            .with("states", new Shape.Sequence(TEXT))
            .build();
    return new Keys()
        .with("rc", INT)
        .with("readback", TEXT)
        .with("states", new Shape.Sequence(TEXT))
        .with("removed", BOOL)
        .with("oops", oops)
        .with("messages", new Shape.Sequence(TEXT))
        .with("blocks", blocks)
        .build();
  }
}
