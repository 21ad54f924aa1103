// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.lab.observe.PageTableWalker;
import org.vmemmap.lab.observe.ProcPage;
import org.vmemmap.lab.observe.RangePtes;
import org.vmemmap.lab.observe.ZoneTails;
import org.vmemmap.machine.PageTableFormat;
import org.vmemmap.types.Mm;

/**
 * The model's side of a close look at a range of pfns. The expectation names the range and the
 * indexes; what is there, the model says.
 */
final class ActualRange {
  private static final int FLAGS_WORD = 0;
  private static final int REFCOUNT_WORD = 6;

  private final ModelView view;
  private final List<ModelView.Device> devices;
  private final Mm mm;
  private final ZoneTails tails;
  private final MemmapReader reader;
  private final WordForm form;
  private final long wordMask0;
  private final PageTableFormat format;

  ActualRange(ModelView view, ZoneTails tails, MemmapReader reader, WordForm form, long wordMask0) {
    this.view = view;
    this.devices = view.devices();
    this.mm = view.mm();
    this.tails = tails;
    this.reader = reader;
    this.form = form;
    this.wordMask0 = wordMask0;
    this.format = PageTableWalker.format(mm);
  }

  /** Reads the range that {@code asked} names. */
  Map<String, Object> read(JsonNode.Obj asked) {
    Map<String, JsonNode> keys = asked.members();
    long startPfn = number(keys, "startPfn");
    long pages = number(keys, "pages");
    boolean dataKnown = keys.containsKey("dataPfn");
    PageRoles roles = new PageRoles(view, tails, reader, startPfn, pages, dataKnown);
    Map<String, Object> actual = new LinkedHashMap<>();
    if (keys.containsKey("what")) {
      actual.put("what", roles.what());
    }
    int order = roles.order();
    // A capture that did not look at struct pages does not know it.
    if (order > 0 && (keys.containsKey("order") || keys.containsKey("structPages"))) {
      actual.put("order", order);
    }
    @Nullable String state = roles.state();
    if (state != null) {
      actual.put("state", state);
    }
    if (keys.containsKey("dataPfn")) {
      actual.put("dataPfn", roles.dataPfn());
    }
    pageTables(keys, startPfn, pages, actual);
    structPages(keys, startPfn, roles, actual);
    return actual;
  }

  private static long number(Map<String, JsonNode> keys, String key) {
    return Long.parseLong(String.valueOf(keys.get(key)));
  }

  private static List<JsonNode> items(@Nullable JsonNode node) {
    return node instanceof JsonNode.Arr list ? list.items() : List.of();
  }

  private static String text(JsonNode object, String key) {
    return String.valueOf(((JsonNode.Obj) object).members().get(key));
  }

  private static boolean has(JsonNode object, String key) {
    return ((JsonNode.Obj) object).members().containsKey(key);
  }

  private void pageTables(
      Map<String, JsonNode> keys, long startPfn, long pages, Map<String, Object> actual) {
    boolean ptes = keys.containsKey("ptes");
    boolean entries = keys.containsKey("tableEntries");
    boolean backing = keys.containsKey("backing");
    if (!ptes && !entries && !backing) {
      return;
    }
    RangePtes range = new RangePtes(mm, tails, startPfn, pages);
    if (ptes) {
      actual.put("ptes", new PteGroups(format).arrange(range.runs(), items(keys.get("ptes"))));
    }
    if (entries) {
      actual.put("tableEntries", tableEntries(range, items(keys.get("tableEntries"))));
    }
    if (backing) {
      actual.put("backing", backing(range, startPfn, items(keys.get("backing"))));
    }
  }

  /** Table entries by level. The p4d level of five is shown only to a capture that shows it. */
  private List<Object> tableEntries(RangePtes range, List<JsonNode> asked) {
    List<Object> entries = new ArrayList<>();
    range
        .tableEntries()
        .forEach(
            (level, flags) -> {
              String name = format.levelName(level);
              boolean wanted = asked.stream().anyMatch(one -> text(one, "in").equals(name));
              if (wanted || !name.equals("p4d")) {
                Uniform value = new Uniform();
                flags.forEach(one -> value.add(WordForm.hex(one)));
                entries.add(Map.of("in", name, "flags", value.value()));
              }
            });
    return entries;
  }

  /** The struct pages of the frames behind the first memmap pages. */
  private List<Object> backing(RangePtes range, long startPfn, List<JsonNode> asked) {
    List<Object> groups = new ArrayList<>();
    for (JsonNode one : asked) {
      Uniform frame = new Uniform();
      Uniform pageFlags = new Uniform();
      Uniform refcount = new Uniform();
      for (long vpage : Indexes.parse(text(one, "vpages"))) {
        long perPage = mm.model().pageSize() / mm.config().sizeofStructPage();
        long pfn = startPfn / perPage * perPage + vpage * perPage;
        long behind = reader.frame(pfn);
        if (behind < 0 || !reader.mapped(behind)) {
          frame.add("none");
          continue;
        }
        frame.add(shared(range, vpage) ? "shared" : "own");
        long flags = reader.word(behind, FLAGS_WORD) & mm.flags().pageflagsMask();
        pageFlags.add(WordForm.hex(flags));
        refcount.add((int) (reader.word(behind, REFCOUNT_WORD) >>> 32));
      }
      groups.add(
          Map.of(
              "frame", frame.value(),
              "pageFlags", pageFlags.value(),
              "refcount", refcount.value()));
    }
    return groups;
  }

  private static boolean shared(RangePtes range, long vpage) {
    for (RangePtes.Run run : range.runs()) {
      if (vpage >= run.vpage() && vpage < run.vpage() + run.n()) {
        return run.shared();
      }
    }
    return false;
  }

  private void structPages(
      Map<String, JsonNode> keys, long startPfn, PageRoles roles, Map<String, Object> actual) {
    if (keys.containsKey("structPages")) {
      List<Object> entries = new ArrayList<>();
      for (JsonNode one : items(keys.get("structPages"))) {
        entries.add(entry(one, startPfn, roles));
      }
      actual.put("structPages", entries);
    }
    if (keys.containsKey("kpageflags")) {
      actual.put("kpageflags", kpageflags(keys, startPfn, roles));
    }
    if (keys.containsKey("kpagecount")) {
      actual.put("kpagecount", kpagecount(keys, startPfn));
    }
  }

  private Map<String, Object> entry(JsonNode asked, long startPfn, PageRoles roles) {
    long mask0 = has(asked, "mask0") ? Fields.parseHex(text(asked, "mask0")) : wordMask0;
    boolean fromData = text(asked, "from").equals("data");
    long from = fromData ? roles.dataPfn() : startPfn;
    Uniform role = new Uniform();
    Uniform same = new Uniform();
    List<WordColumn> words = columns(mask0);
    for (long index : Indexes.parse(text(asked, "at"))) {
      long pfn = from + index;
      role.add(roles.role(pfn));
      if (has(asked, "words")) {
        words(pfn, words);
      }
      if (has(asked, "sameAs")) {
        same.add(sameAs(pfn, startPfn));
      }
    }
    Map<String, Object> entry = new LinkedHashMap<>();
    if (has(asked, "role")) {
      entry.put("role", role.value());
    }
    if (has(asked, "words")) {
      entry.put("words", words.stream().map(WordColumn::value).toList());
    }
    if (has(asked, "sameAs")) {
      entry.put("sameAs", same.value());
    }
    if (has(asked, "from")) {
      entry.put("from", roles.dataPfn() >= 0 && fromData ? "data" : "start");
    }
    return entry;
  }

  /** A column for each word of a struct page; of the first only the bits of {@code mask0} count. */
  private List<WordColumn> columns(long mask0) {
    List<WordColumn> columns = new ArrayList<>();
    for (int i = 0; i < mm.config().sizeofStructPage() / 8; i++) {
      boolean flags = i == FLAGS_WORD;
      columns.add(new WordColumn(flags ? null : form, flags ? mask0 : -1));
    }
    return columns;
  }

  private void words(long pfn, List<WordColumn> columns) {
    if (!reader.mapped(pfn)) {
      columns.forEach(WordColumn::addUnmapped);
      return;
    }
    long pgmap = pgmapOf(pfn);
    for (int i = 0; i < columns.size(); i++) {
      columns.get(i).add(reader.word(pfn, i), reader.address(pfn), pgmap);
    }
  }

  private long pgmapOf(long pfn) {
    for (ModelView.Device device : devices) {
      if (pfn >= device.startPfn() && pfn < device.startPfn() + device.pages()) {
        return device.pgmap().va();
      }
    }
    return 0;
  }

  /** Which shared tail the page equals, struct page by struct page. */
  private String sameAs(long pfn, long startPfn) {
    long perPage = mm.model().pageSize() / mm.config().sizeofStructPage();
    ZoneTails.Slot slot = tails.ofFrame(reader.frame(pfn));
    if (slot == null) {
      return "a frame that is no shared tail";
    }
    int place = (int) ((pfn - startPfn) % perPage);
    boolean equal =
        java.util.Arrays.equals(reader.words(pfn), reader.wordsInFrame(slot.frame(), place));
    return (equal ? "" : "not the ")
        + "slot (index modulo "
        + perPage
        + ") of zoneTails "
        + slot.name();
  }

  /**
   * The kpageflags of the range. For a page that a process has mapped, the flag bits of its head
   * that the case does not compare are an input, as the case format says: they tell what the
   * process did, not what the kernel made of the memmap.
   */
  private List<Object> kpageflags(Map<String, JsonNode> keys, long startPfn, PageRoles roles) {
    ProcPage proc = new ProcPage(mm);
    boolean given = "mapped".equals(roles.state());
    long headFlags = given ? givenHeadFlags(keys, startPfn) : 0;
    List<Object> groups = new ArrayList<>();
    for (JsonNode one : items(keys.get("kpageflags"))) {
      Uniform flags = new Uniform();
      TreeSet<Long> seen = new TreeSet<>();
      for (long index : Indexes.parse(text(one, "at"))) {
        long pfn = startPfn + index;
        long bits = given ? proc.kpageFlags(pfn, headFlags) : proc.kpageFlags(pfn);
        if (seen.add(bits)) {
          flags.add(WordForm.hex(bits));
        }
      }
      groups.add(Map.of("flags", flags.value()));
    }
    return groups;
  }

  private long givenHeadFlags(Map<String, JsonNode> keys, long startPfn) {
    long model = reader.word(startPfn, FLAGS_WORD);
    for (JsonNode one : items(keys.get("structPages"))) {
      boolean head = text(one, "at").equals("0") && has(one, "mask0") && has(one, "words");
      if (head) {
        long mask = Fields.parseHex(text(one, "mask0"));
        List<JsonNode> words = items(((JsonNode.Obj) one).members().get("words"));
        long input = Fields.parseHex(words.getFirst().toString());
        return (model & mask) | (input & ~mask);
      }
    }
    return model;
  }

  private List<Object> kpagecount(Map<String, JsonNode> keys, long startPfn) {
    ProcPage proc = new ProcPage(mm);
    List<Object> groups = new ArrayList<>();
    for (JsonNode one : items(keys.get("kpagecount"))) {
      Uniform count = new Uniform();
      for (long index : Indexes.parse(text(one, "at"))) {
        count.add(proc.getKpageCount(startPfn + index));
      }
      groups.add(Map.of("count", count.value()));
    }
    return groups;
  }
}
