/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "ctl/format.h"
#include "ctl/repair.h"
#include "ctl/table.h"

#define UUID_SHOWN 8

static json_object *loss_json(const SalvageLoss *l)
{
        json_object *o = json_object_new_object();

        json_add_text(o, "uuid", l->uuid);
        json_add_text(o, "name", l->label.name);
        json_add_text(o, "type", l->label.type);
        json_add_text(o, "state", l->lost ? "lost" : "older");
        json_add_time(o, "time", l->lost ? 0 : l->time_usec);
        json_add_int(o, "lost_changes", l->n_changes);
        return o;
}

static void print_json(const Repair *r)
{
        const SalvageReport *report = &r->report;
        json_object *o = json_object_new_object(), *nodes = json_object_new_array(), *lost = json_object_new_array();

        for (size_t i = 0; i < report->n_losses; i++)
                json_object_array_add(nodes, loss_json(&report->losses[i]));
        for (size_t i = 0; i < report->n_lost_snapshots; i++)
                json_object_array_add(lost, json_object_new_string(report->lost_snapshots[i]));
        json_add_bool(o, "damaged", !r->intact);
        json_add_text(o, "repaired", r->intact ? NULL : r->in_place ? r->old : r->repaired);
        json_add_bool(o, "in_place", r->in_place);
        json_add_text(o, "old", r->in_place ? r->damaged : r->old);
        json_add_int(o, "damaged_records", r->n_damaged);
        json_object_object_add(o, "problems", json_object_get(r->problems));
        json_add_int(o, "node_count", report->n_nodes);
        json_add_int(o, "bytes", report->n_bytes);
        json_add_int(o, "snapshots", report->n_snapshots);
        json_add_int(o, "snapshots_touched", report->n_touched);
        json_object_object_add(o, "lost_snapshots", lost);
        json_add_int(o, "records", report->n_records);
        json_add_int(o, "lost_records", report->n_records_lost);
        json_add_int(o, "dropped_records", report->n_records_dropped);
        json_add_time(o, "lost_since", report->lost_since_usec);
        json_add_time(o, "lost_until", report->lost_until_usec);
        json_object_object_add(o, "nodes", nodes);
        ctl_print_json(o);
}

static int print_losses(const Repair *r)
{
        _cleanup_table_ Table *t = table_new("~NODE|~TYPE|NOW|>LOST CHANGES|UUID");

        if (!t)
                return -1;
        for (size_t i = 0; i < r->report.n_losses; i++) {
                const SalvageLoss *l = &r->report.losses[i];
                char time[FORMAT_SIZE_MAX];

                table_row(t);
                table_cell(t, "%s", l->label.name ?: "");
                table_cell(t, "%s", l->label.type ?: "");
                table_cell(t, "%s%s", l->lost ? "lost" : "as of ",
                           l->lost                 ? ""
                           : l->time_usec > 0 ? format_time(time, sizeof(time), l->time_usec)
                                              : "before");
                table_cell(t, "%llu", (unsigned long long)l->n_changes);
                table_cell(t, "%.*s", UUID_SHOWN, l->uuid);
        }
        puts("\nNodes that are not as they were last:\n");
        return table_print(t, stdout, r->ctl->width, r->ctl->colour);
}

static void print_lost_records(const SalvageReport *report)
{
        char since[FORMAT_SIZE_MAX], until[FORMAT_SIZE_MAX];

        if (report->n_records_lost == 0 && report->n_records_dropped == 0)
                return;
        printf("%-10s %llu changes, and %llu that build on what is missing\n", "Lost",
               (unsigned long long)report->n_records_lost, (unsigned long long)report->n_records_dropped);
        if (report->lost_since_usec > 0)
                printf("%-10s from %s%s%s\n", "", format_time(since, sizeof(since), report->lost_since_usec),
                       report->lost_until_usec > 0 ? " to " : " on",
                       report->lost_until_usec > 0 ? format_time(until, sizeof(until), report->lost_until_usec) : "");
}

static ExitStatus print_text(const Repair *r)
{
        const SalvageReport *report = &r->report;
        char size[FORMAT_SIZE_MAX];

        if (r->intact) {
                printf("Nothing is damaged in %s.\n", r->old);
                return CTL_OK;
        }
        printf("%-10s %llu nodes with %s, %llu snapshots, %llu changes\n", "Rescued", (unsigned long long)report->n_nodes,
               format_size(size, sizeof(size), report->n_bytes), (unsigned long long)report->n_snapshots,
               (unsigned long long)report->n_records);
        for (size_t i = 0; i < report->n_lost_snapshots; i++)
                printf("%-10s snapshot %s\n", "Lost", report->lost_snapshots[i]);
        print_lost_records(report);
        if (report->n_touched > 0)
                printf("%-10s %llu snapshots have nodes that are older or missing\n", "", (unsigned long long)report->n_touched);
        if (report->n_losses > 0 && print_losses(r) < 0)
                return ctl_fail(r->ctl, CTL_FAILED, "out of memory");
        if (report->n_losses == 0)
                puts("\nEvery node is as it was last.");
        if (r->in_place)
                printf("\nThe repaired session is in place and verified. The old one is in\n%s\n", r->damaged);
        else
                printf("\nThe old folder is as it was. The repaired one, every digest of it right, is\n%s\n\n"
                       "Look into it with --data-dir; `scenekeepctl repair --swap` puts one in place.\n",
                       r->repaired);
        return CTL_OK;
}

ExitStatus repair_print(const Repair *r)
{
        ExitStatus status = CTL_OK;

        if (r->ctl->json)
                print_json(r);
        else
                status = print_text(r);
        return status == CTL_OK && !r->intact && salvage_report_has_loss(&r->report) ? CTL_DEGRADED : status;
}
