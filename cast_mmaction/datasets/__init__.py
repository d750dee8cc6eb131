"""Frame sampling, augmentation, EPIC-KITCHENS-100 and unreadable videos."""
