"""What controller, job and reports agree on: folders, records, states, names, COCO reading. No torch, no Hydra."""
