// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.sparse.HotplugSystem;
import org.vmemmap.types.PgData;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/**
 * The error exits of memory hotplug, and the code with which each is left.
 *
 * <p>Each row is a fallible step of a scenario: its site, what the machine says when only this step
 * fails, when it and all later ones at its place fail (where the first alone does no harm, because
 * somebody tries again), and when all steps from it fail; then the exit that the failure leads to. A
 * code is that of the first operation that fails. A rule's name stands where the rule is broken: the
 * kernel has a bug there, see findings 5 and 23. After every operation the machine's invariants hold,
 * an operation that failed has changed no page and no count, and when the memory is gone, objects,
 * altmaps, devices, zones and resources are as before.
 *
 * <p>The rows are complete: a site that is not there, or that is not met any more, fails the test.
 */
final class ExitsTest {
  /** A module that brings a node. */
  @Test
  void exits_moduleOfANewNode_eachIsReached() {
    assertExits(
        "dimm-node",
        "x86-64-4",
        """
        acpi_memory_device_add   | -ENOMEM    |    | -ENOMEM    | acpi_memory_device_add: kzalloc
        acpi_memory_get_resource | -EINVAL    |    | -EINVAL    | acpi_memory_get_device_resources
        memory_group_register    | -ENOMEM    |    | -ENOMEM    | memory_group_register: kzalloc
        xa_alloc                 | -ENOMEM    |    | -ENOMEM    | memory_group_register: xa_alloc
        alloc_resource           | no-warning ok | ok | no-warning ok | register_memory_resource: -EEXIST
        free_area_init_core_hotplug | -ENOMEM |  | -ENOMEM   | __try_online_node
        register_node            | -ENOMEM    |    | -ENOMEM    | register_node: kzalloc, node offline
        device_register          | -ENOMEM    |    | -ENOMEM    | register_node; __add_memory_block
        section_activate         | -ENOMEM    |    | -ENOMEM    | __add_pages, from section_activate
        vmemmap_alloc_block      | ok         | -ENOMEM | -ENOMEM | no frame, large or small
        allocate_slab            | -ENOMEM    |    | -ENOMEM    | any kzalloc: no page
        add_memory_block         | -ENOMEM    |    | -ENOMEM    | create_memory_block_devices
        xa_store                 | -ENOMEM    |    | -ENOMEM    | __add_memory_block: xa_store
        sysfs_create_link_nowarn | ok         | ok | ok         | only a line in the log
        """);
  }

  /** A module of two blocks that host their memmap: the second undoes the first. */
  @Test
  void exits_selfHostedModule_eachIsReached() {
    assertExits(
        "dimm-on-memory",
        "x86-64-4",
        """
        acpi_memory_device_add           | -ENOMEM | | -ENOMEM | acpi_memory_device_add: kzalloc
        acpi_memory_get_resource         | -EINVAL | | -EINVAL | acpi_memory_get_device_resources
        memory_group_register            | -ENOMEM | | -ENOMEM | memory_group_register: kzalloc
        xa_alloc                         | -ENOMEM | | -ENOMEM | memory_group_register: xa_alloc
        alloc_resource                   | no-warning ok | ok | no-warning ok | register_memory_resource
        create_altmaps_and_memory_blocks | -ENOMEM | | -ENOMEM | kmemdup of the altmap
        section_activate                 | -ENOMEM | | -ENOMEM | arch_add_memory of a block
        altmap_alloc_block_buf           | -ENOMEM | | -ENOMEM | the altmap has no room
        allocate_slab                    | -ENOMEM | | -ENOMEM | any kzalloc: no page
        add_memory_block                 | -ENOMEM | | -ENOMEM | create_memory_block_devices
        device_register                  | -ENOMEM | | -ENOMEM | __add_memory_block
        xa_store                         | -ENOMEM | | -ENOMEM | __add_memory_block: xa_store
        kasan_add_zero_shadow            | -ENOMEM | | -ENOMEM | mhp_init_memmap_on_memory
        sysfs_create_link_nowarn         | ok | ok | -ENOMEM | only a line in the log
        """);
  }

  /** Device memory as System RAM: the driver, and unplugging by its file. */
  @Test
  void exits_kmem_eachIsReached() {
    assertExits(
        "kmem",
        "x86-64-4",
        """
        dev_dax_kmem_probe               | ok         | -ENOMEM  | -ENOMEM    | dev_dax_kmem_probe: kzalloc
        kstrdup                          | ok         | -ENOMEM  | -ENOMEM    | dev_dax_kmem_probe: kstrdup
        memory_group_register            | ok         | -ENOMEM  | -ENOMEM    | dev_dax_kmem_probe: group
        xa_alloc                         | ok         | -ENOMEM  | -ENOMEM    | dev_dax_kmem_probe: group
        alloc_resource                   | ok         | -EBUSY ok | -ENOMEM ok | dax_kmem_init_resources
        section_activate                 | ok -ENOMEM | -ENOMEM  | -ENOMEM    | dax_kmem_do_hotplug
        vmemmap_alloc_block              | ok         | -ENOMEM  | -ENOMEM    | dax_kmem_do_hotplug
        allocate_slab                    | ok -ENOMEM | -ENOMEM  | -ENOMEM    | any kzalloc: no page
        add_memory_block                 | ok -ENOMEM | -ENOMEM  | -ENOMEM    | create_memory_block_devices
        device_register                  | ok -ENOMEM | -ENOMEM  | -ENOMEM    | __add_memory_block
        xa_store                         | ok -ENOMEM | -ENOMEM  | -ENOMEM    | __add_memory_block: xa_store
        dax_kmem_do_hotremove            | -ENOMEM    |          | -ENOMEM    | dax_kmem_do_hotremove: kmalloc
        offline_and_remove_memory_ranges | -ENOMEM    |          | -ENOMEM    | types of the blocks: kmalloc
        sysfs_create_link_nowarn         | ok         | ok       | -ENOMEM    | only a line in the log
        """);
  }

  /** The same with the memmap inside. */
  @Test
  void exits_selfHostedKmem_eachIsReached() {
    assertExits(
        "kmem-on-memory",
        "x86-64-4",
        """
        dev_dax_kmem_probe               | ok      | -ENOMEM  | -ENOMEM    | dev_dax_kmem_probe: kzalloc
        kstrdup                          | ok      | -ENOMEM  | -ENOMEM    | dev_dax_kmem_probe: kstrdup
        memory_group_register            | ok      | -ENOMEM  | -ENOMEM    | dev_dax_kmem_probe: group
        xa_alloc                         | ok      | -ENOMEM  | -ENOMEM    | dev_dax_kmem_probe: group
        alloc_resource                   | ok      | -EBUSY ok | -ENOMEM ok | dax_kmem_init_resources
        create_altmaps_and_memory_blocks | ok      | -ENOMEM  | -ENOMEM    | kmemdup of the altmap
        section_activate                 | ok      | -ENOMEM  | -ENOMEM    | arch_add_memory of a block
        altmap_alloc_block_buf           | ok      | -ENOMEM  | -ENOMEM    | the altmap has no room
        allocate_slab                    | ok      | -ENOMEM  | -ENOMEM    | any kzalloc: no page
        add_memory_block                 | ok      | -ENOMEM  | -ENOMEM    | create_memory_block_devices
        device_register                  | ok      | -ENOMEM  | -ENOMEM    | __add_memory_block
        xa_store                         | ok      | -ENOMEM  | -ENOMEM    | __add_memory_block: xa_store
        kasan_add_zero_shadow            | -ENOMEM |          | -ENOMEM    | mhp_init_memmap_on_memory
        sysfs_create_link_nowarn         | ok      | ok       | -ENOMEM    | only a line in the log
        """);
  }

  /** Two LMBs; a failure takes back those that were added, and says -EINVAL whatever it was. */
  @Test
  void exits_lmbs_eachIsReached() {
    assertExits(
        "lmbs",
        "powerpc-64K-radix",
        """
        update_lmb_associativity_index | -EINVAL    |    | -EINVAL    | dlpar_add_lmb: -ENODEV
        alloc_resource                 | -EINVAL ok | ok | -EINVAL ok | dlpar_add_lmb: __add_memory
        section_activate               | -EINVAL failed-operation-changes-nothing | \
        | -EINVAL failed-operation-changes-nothing | dlpar_add_lmb: __add_memory
        allocate_slab                  | -EINVAL    |    | -EINVAL    | any kzalloc: no page
        add_memory_block               | -EINVAL    |    | -EINVAL    | create_memory_block_devices
        device_register                | -EINVAL    |    | -EINVAL    | __add_memory_block
        xa_store                       | -EINVAL    |    | -EINVAL    | __add_memory_block: xa_store
        sysfs_create_link_nowarn       | ok         | ok | -EINVAL ok | only a line in the log
        """);
  }

  private static void assertExits(String name, String world, String rows) {
    Map<String, String> expected = new TreeMap<>();
    for (String row : rows.strip().split("\n", -1)) {
      String[] cells = row.split("\\|", -1);
      expected.put(
          cells[0].strip(),
          String.join(", ", words(cells[1]), words(cells[2]), words(cells[3])));
    }
    Scenario scenario = Scenario.standard(name, List.of(World.of(world))).getFirst();
    Map<String, String> met = new TreeMap<>();
    met(scenario).forEach((site, codes) -> met.put(site, codes.text()));
    assertEquals(String.join("\n", lines(expected)), String.join("\n", lines(met)));
  }

  private static List<String> lines(Map<String, String> rows) {
    return rows.entrySet().stream().map(row -> row.getKey() + ": " + row.getValue()).toList();
  }

  /** Words in the order of the alphabet. */
  private static String words(String cell) {
    return String.join(" ", new TreeSet<>(List.of(cell.strip().split(" ", -1))));
  }

  /** What was said, by mode. */
  private record Codes(
      SortedSet<String> only, SortedSet<String> same, SortedSet<String> from) {
    Codes() {
      this(new TreeSet<>(), new TreeSet<>(), new TreeSet<>());
    }

    String text() {
      return String.join(
          ", ", String.join(" ", only), String.join(" ", same), String.join(" ", from));
    }
  }

  private static Map<String, Codes> met(Scenario scenario) {
    Trial clean = new Trial(scenario, Selection.NONE);
    clean.go();
    List<String> sites = clean.result().sites();
    Map<String, Codes> met = new TreeMap<>();
    for (int n : chosen(sites)) {
      Codes codes = met.computeIfAbsent(sites.get(n - 1), site -> new Codes());
      String only = run(scenario, Selection.only(n));
      codes.only().add(only);
      if (only.equals("ok")) {
        codes.same().add(run(scenario, Selection.same(n)));
      }
      codes.from().add(run(scenario, Selection.from(n)));
    }
    return met;
  }

  /** The first, the second and the last place of each site, counted from 1. */
  private static List<Integer> chosen(List<String> sites) {
    List<Integer> chosen = new ArrayList<>();
    Map<String, Integer> seen = new TreeMap<>();
    for (int n = 1; n <= sites.size(); n++) {
      String site = sites.get(n - 1);
      if (seen.merge(site, 1, Integer::sum) <= 2 || sites.lastIndexOf(site) == n - 1) {
        chosen.add(n);
      }
    }
    return chosen;
  }

  /** The first code, or the rule that is broken; {@code left} when something of the memory is. */
  private static String run(Scenario scenario, Selection selection) {
    Trial trial = new Trial(scenario, selection);
    while (!trial.kernel().booted()) {
      trial.stage();
    }
    Books before = Books.of(trial.kernel());
    Snapshot pages = new Snapshot(trial.kernel());
    trial.go();
    if (trial.deviates()) {
      return trial.found().split(",", -1)[0];
    }
    if (before.blocks().equals(trial.kernel().hotplug().blocks().blockIds())) {
      assertEquals(before, Books.of(trial.kernel()), selection::text);
      assertEquals("", pages.difference(new Snapshot(trial.kernel())), selection::text);
    }
    return trial.result().outcomes().getFirst();
  }

  /** What stands for memory outside of the memmap: it has to be as before when the memory is gone. */
  private record Books(
      List<Long> blocks,
      long slabObjects,
      int altmaps,
      String nodes,
      String iomem,
      List<String> zones) {
    static Books of(LabKernel kernel) {
      List<String> zones = new ArrayList<>();
      for (PgData node : kernel.mm().nodes().online()) {
        for (Zone zone : node.zones()) {
          // The span of ZONE_DEVICE never shrinks.
          boolean device = zone.idx() == ZoneType.ZONE_DEVICE;
          zones.add(
              "%d %s: %d+%d present %d managed %d isolated %d"
                  .formatted(
                      node.nodeId(),
                      zone.idx(),
                      device ? 0 : zone.zoneStartPfn,
                      device ? 0 : zone.spannedPages,
                      zone.presentPages,
                      zone.managedPages,
                      zone.initialized ? kernel.pageAlloc().nrIsolatePageblock(zone) : 0));
        }
      }
      HotplugSystem hotplug = kernel.hotplug();
      return new Books(
          hotplug.blocks().blockIds(),
          kernel.slab().objectsInUse(),
          hotplug.add().altmapsInUse(),
          hotplug.nodes().registered().toString(),
          kernel.iomem().show(),
          zones);
    }
  }
}
